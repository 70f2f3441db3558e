// The legend of the loss chart: what is under the pointer, or else the last values. Its entries switch lines on and off.

import { el, fill } from "../shared/dom.mjs";
import { short } from "../shared/numbers.mjs";
import { SERIES, valueAt } from "./chart_data.mjs";

/** @import { ChartData } from "./chart_data.mjs" */

/**
 * @param {HTMLElement} legend
 * @param {ChartData} data
 * @param {{ columns: ArrayLike<number | null | undefined>[], place: number | null | undefined, hidden: Set<string>, toggle: (key: string) => void }} view
 * place: where the pointer is, if anywhere
 */
export function drawLegend(legend, data, { columns, place, hidden, toggle }) {
  const [steps, ...lines] = columns.map((column) => Array.from(column));
  fill(
    legend,
    el("span.legend-step", {}, steps.length ? `Step ${steps[place ?? steps.length - 1]}` : ""),
    SERIES.map(({ key, label, colour }, number) => {
      if (!lines[number].some((value) => typeof value === "number")) return null;
      const value = valueAt(lines[number], place);
      return el(
        "button.legend-entry",
        { type: "button", "aria-pressed": String(!hidden.has(key)), onclick: () => toggle(key) },
        swatch(colour),
        el("span", {}, label),
        el("span.legend-value", {}, value === null ? "" : short(value)),
      );
    }),
    data.saves.length > 0 && el("span.legend-entry", {}, swatch("--sdft-chart-save"), el("span", {}, "Save")),
    data.controls.length > 0 && el("span.legend-entry", {}, swatch("--sdft-chart-controls"), el("span", {}, "Control pictures")),
  );
}

/** @param {string} colour a name of the style sheet */
function swatch(colour) {
  return el("span.swatch", { style: `background: var(${colour})`, "aria-hidden": "true" });
}
