// Captions before and after a change, as elements.

import { el } from "../shared/dom.mjs";
import { thousands } from "../shared/numbers.mjs";
import { changes } from "./text_changes.mjs";

/** @import { CaptionChange } from "./types.d.ts" */
/** @import { CaptionStore } from "./caption_store.mjs" */

/**
 * Shows a text's change: what goes is struck through, what comes is coloured; screen readers hear both.
 * @param {string} before
 * @param {string} after
 */
export function changeNode(before, after) {
  return el(
    "span",
    {},
    changes(before, after).map(([kind, piece]) => (kind === "same" ? piece : el(kind === "old" ? "del" : "ins", {}, piece))),
  );
}

/**
 * Lists changed captions with the names of their pictures. `count`: how many change in all.
 * @param {CaptionStore} store
 * @param {CaptionChange[]} shown
 * @param {number} count
 */
export function changeNodes(store, shown, count) {
  const left = count - shown.length;
  return [
    ...shown.map((one) =>
      el("div.cap-change", {}, el("span.quiet", {}, store.entry(one.id)?.name ?? ""), changeNode(one.before, one.after)),
    ),
    left > 0 && el("p.help", {}, `and ${thousands(left)} more`),
  ];
}
