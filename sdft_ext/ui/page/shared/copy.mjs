// A button that copies a text. Where a page may not write into the clipboard (plain http), the text is selected for Ctrl+C.

import { button } from "./dom.mjs";

/** How long the button says that it has copied (ms). */
const SHOWN = 2000;

/**
 * @param {HTMLElement} source the element that shows the text
 * @param {string} text
 * @param {import("../types.d.ts").Properties} [properties] of the button
 */
export function copyButton(source, text, properties = {}) {
  const copy = button(
    "Copy",
    async () => {
      select(source);
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch {
        copy.textContent = "Press Ctrl+C";
      }
      setTimeout(() => (copy.textContent = "Copy"), SHOWN);
    },
    { kind: "small", ...properties },
  );
  return copy;
}

/** Selects what an element shows. @param {HTMLElement} source */
function select(source) {
  if (source instanceof HTMLTextAreaElement) source.select();
  else getSelection()?.selectAllChildren(source);
}
