// Which captions something is about: the active one, those selected, or those shown.

import { el } from "../shared/dom.mjs";
import { thousands } from "../shared/numbers.mjs";

/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { Target } from "./types.d.ts" */

/** @type {[Target, string][]} */
const TARGETS = [
  ["active", "This one"],
  ["selected", "Selected"],
  ["shown", "Shown"],
];

export class TargetChoice {
  #store;
  /** What the user has chosen. @type {Target | null} */
  #chosen = null;
  #buttons;

  /**
   * @param {CaptionStore} store
   * @param {string} label
   * @param {() => void} changed called when the user chooses
   */
  constructor(store, label, changed) {
    this.#store = store;
    this.#buttons = TARGETS.map(([target, text]) => {
      const choose = () => {
        this.#chosen = target;
        changed();
      };
      return { target, text, node: el("button", { type: "button", onclick: choose, data: { target } }, text) };
    });
    this.node = el(
      "div.segments",
      { role: "group", "aria-label": label },
      this.#buttons.map(({ node }) => node),
    );
  }

  /** What the user has chosen, else the selection where there is one, else those shown. */
  get value() {
    const selected = this.#store.selected.size > 0;
    if (this.#chosen && (this.#chosen !== "selected" || selected)) return this.#chosen;
    return selected ? "selected" : "shown";
  }

  get ids() {
    return this.#store.opened === null ? [] : this.#store.ids(this.value);
  }

  /** Shows how many captions each choice means. */
  draw() {
    const { selected, shown } = this.#store;
    for (const { target, text, node } of this.#buttons) {
      const number = target === "selected" ? selected.size : shown.length;
      node.textContent = target === "active" ? text : `${text} ${thousands(number)}`;
      node.setAttribute("aria-pressed", String(target === this.value));
      node.disabled = target === "selected" && !number;
    }
  }
}
