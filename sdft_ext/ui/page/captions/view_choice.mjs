// How the grid shows captions: as tags or sentences, with small or large pictures. The browser keeps the choice.

import { el } from "../shared/dom.mjs";
import { readJson, writeJson } from "../shared/storage.mjs";
import { SIZES } from "./cell.mjs";

/** @import { View } from "./types.d.ts" */

const KEPT = "sdft.captions.view";
const VIEWS = /** @type {const} */ ([
  ["tags", "Tags"],
  ["text", "Sentences"],
]);

export class ViewChoice {
  value = validView(readJson(() => localStorage, KEPT));
  #changed;
  #views = VIEWS.map(([view, label]) => ({
    view,
    node: el("button", { type: "button", onclick: () => this.#set({ ...this.value, view }), data: { view } }, label),
  }));

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    const sizes = Object.keys(SIZES).map((name) =>
      el("option", { value: name, selected: name === this.value.size }, `${name[0].toUpperCase()}${name.slice(1)} pictures`),
    );
    const size = el("select.input.small", { "aria-label": "Size of the pictures", data: { action: "captions-size" } }, sizes);
    size.addEventListener("change", () => this.#set({ ...this.value, size: /** @type {View["size"]} */ (size.value) }));
    this.nodes = [
      size,
      el(
        "div.segments",
        { role: "group", "aria-label": "How captions are shown" },
        this.#views.map(({ node }) => node),
      ),
    ];
    this.#draw();
  }

  /** @param {View} value */
  #set(value) {
    this.value = value;
    writeJson(() => localStorage, KEPT, value);
    this.#draw();
    this.#changed();
  }

  #draw() {
    for (const { view, node } of this.#views) node.setAttribute("aria-pressed", String(view === this.value.view));
  }
}

/**
 * Returns what was kept, with defaults for what can't be used.
 * @param {unknown} kept
 * @returns {View}
 */
function validView(kept) {
  const { view, size } = /** @type {Partial<Record<keyof View, unknown>>} */ (kept ?? {});
  return {
    view: view === "text" ? "text" : "tags",
    size: typeof size === "string" && size in SIZES ? /** @type {View["size"]} */ (size) : "medium",
  };
}
