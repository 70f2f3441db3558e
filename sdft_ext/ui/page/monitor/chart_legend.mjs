// The legend of the loss chart: what is under the pointer, or else the last values. Its entries switch lines on and off.

import { el } from "../shared/dom.mjs";
import { short } from "../shared/numbers.mjs";
import { SERIES, valueAt } from "./chart_data.mjs";

/** @import { ChartData } from "./chart_data.mjs" */

export class ChartLegend {
  #step = el("span.legend-step");
  /** The entries stay the same elements, so that the one with the keyboard's focus keeps it. */
  #lines;
  #saves = markEntry("--sdft-chart-save", "Save");
  #controls = markEntry("--sdft-chart-controls", "Control pictures");

  /** `toggle(key)` switches a line on or off. @param {(key: string) => void} toggle */
  constructor(toggle) {
    this.#lines = SERIES.map(({ key, label, colour }, number) => {
      const value = el("span.legend-value");
      const node = el("button.legend-entry", { type: "button", hidden: true, onclick: () => toggle(key) }, swatch(colour), el("span", {}, label), value);
      return { key, label, number, value, node };
    });
    this.node = el("div.legend", {}, this.#step, this.#lines.map(({ node }) => node), this.#saves, this.#controls);
    this.clear();
  }

  clear() {
    this.#step.textContent = "";
    for (const node of [...this.#lines.map((line) => line.node), this.#saves, this.#controls]) node.hidden = true;
  }

  /**
   * Shows the values at a place; returns them as a sentence.
   * @param {ChartData} data
   * @param {{ columns: ArrayLike<number | null | undefined>[], place: number | null | undefined, hidden: Set<string> }} view
   * place: where the pointer is, if anywhere
   */
  draw(data, { columns, place, hidden }) {
    const [steps, ...lines] = columns.map((column) => Array.from(column));
    this.#step.textContent = steps.length ? `Step ${steps[place ?? steps.length - 1]}` : "";
    const texts = [this.#step.textContent];
    for (const { key, label, number, value, node } of this.#lines) {
      const found = valueAt(lines[number], place);
      value.textContent = found === null ? "" : short(found);
      node.hidden = !lines[number].some((one) => typeof one === "number");
      node.setAttribute("aria-pressed", String(!hidden.has(key)));
      if (found !== null && !hidden.has(key)) texts.push(`${label} ${value.textContent}`);
    }
    this.#saves.hidden = data.saves.length === 0;
    this.#controls.hidden = data.controls.length === 0;
    return texts.join(", ");
  }
}

/** @param {string} colour a name of the style sheet @param {string} label */
function markEntry(colour, label) {
  return el("span.legend-entry", {}, swatch(colour), el("span", {}, label));
}

/** @param {string} colour a name of the style sheet */
function swatch(colour) {
  return el("span.swatch", { style: `background: var(${colour})`, "aria-hidden": "true" });
}
