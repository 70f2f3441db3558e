// The folder that the results go to; empty means the one that the server suggests.

import { button, el, freshId } from "../shared/dom.mjs";
import { chooseFolder } from "../shared/folders.mjs";

/** @import { App } from "../types.d.ts" */

/**
 * @param {App} app
 * @param {() => void} changed
 */
export function outputField(app, changed) {
  const id = freshId("sdft-preparation-out");
  const input = el("input.input", { id, type: "text", spellcheck: "false", autocomplete: "off", data: { option: "out" } });
  input.addEventListener("input", changed);
  const browse = button(
    "Browse…",
    async () => {
      const chosen = await chooseFolder(app, input.value || input.placeholder, "Folder for the results");
      if (chosen === null) return;
      input.value = chosen;
      changed();
    },
    { "aria-label": "Browse for the folder of the results" },
  );
  return {
    node: el(
      "div.field",
      {},
      el("label.label", { htmlFor: id }, "Folder for the results"),
      el("div.row.together", {}, input, browse),
      el("p.help", {}, "A new folder, or one from an earlier preparation: files that exist already aren't made again."),
    ),
    get value() {
      return input.value.trim();
    },
    /** @param {string} folder */
    suggest(folder) {
      input.placeholder = folder;
    },
  };
}
