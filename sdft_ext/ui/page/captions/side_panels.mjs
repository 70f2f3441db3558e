// What is shown next to the grid: one of several panels.

import { el } from "../shared/dom.mjs";

/**
 * @typedef {object} SidePanel
 * @property {string} name
 * @property {string} label
 * @property {HTMLElement} node
 * @property {() => void} [shown] called when it is chosen
 */

export class SidePanels {
  #panels;

  /** @param {SidePanel[]} panels */
  constructor(panels) {
    this.#panels = panels.map((panel) => ({
      ...panel,
      choice: el("button", { type: "button", onclick: () => this.show(panel.name), data: { side: panel.name } }, panel.label),
      place: el("div", { hidden: true }, panel.node),
    }));
    this.node = el(
      "section.card.cap-side",
      { "aria-label": "Caption tools" },
      el(
        "div.segments.cap-sides-bar",
        { role: "group", "aria-label": "Caption tools" },
        this.#panels.map(({ choice }) => choice),
      ),
      this.#panels.map(({ place }) => place),
    );
  }

  /** @param {string} name */
  show(name) {
    for (const panel of this.#panels) {
      panel.choice.setAttribute("aria-pressed", String(panel.name === name));
      panel.place.hidden = panel.name !== name;
    }
    this.#panels.find((panel) => panel.name === name)?.shown?.();
  }
}
