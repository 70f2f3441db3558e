// What the loss chart shows, as numbers: the lines by step, the steps of saves and control pictures, and which values are in sight.

/** @import { LogLine } from "../types.d.ts" */

/** The lines of the chart; the key is the name of the number in the log. */
export const SERIES = [
  { key: "loss", label: "Each step", colour: "--sdft-chart-raw", width: 1, dots: false },
  { key: "smoothed", label: "Smoothed", colour: "--sdft-chart-smooth", width: 2.5, dots: false },
  { key: "validation/held_out", label: "Held-out pictures", colour: "--sdft-chart-held", width: 2, dots: true },
  { key: "validation/training", label: "Training pictures", colour: "--sdft-chart-training", width: 2, dots: true },
];

/** The least value on a logarithmic scale, and the least height of a linear one. */
const LEAST = 1e-6;
/** A few wild steps may leave the chart: this share of the values is in sight. */
const SHARE = 0.995;

/** @typedef {{ min: number, max: number }} Span */

export class ChartData {
  /** Values by step and key; null where the log has no finite number. @type {Map<number, Record<string, number | null>>} */
  #rows = new Map();
  /** @type {number[]} */
  saves = [];
  /** @type {number[]} */
  controls = [];

  get points() {
    return this.#rows.size;
  }

  /**
   * Adds lines of the log, as they come.
   * @param {LogLine[]} lines
   */
  add(lines) {
    for (const line of lines) {
      if (line.event === "save") this.saves.push(line.step);
      else if (line.event === "controls") this.controls.push(line.step);
      const found = SERIES.filter(({ key }) => key in line);
      if (!found.length) continue;
      const row = this.#rows.get(line.step) ?? {};
      for (const { key } of found) {
        const value = Number(line[key]);
        row[key] = Number.isFinite(value) ? value : null;
      }
      this.#rows.set(line.step, row);
    }
  }

  /**
   * Returns the steps in order, and each line's values at these.
   * @returns {[number[], ...(number | null)[][]]}
   */
  columns() {
    const steps = [...this.#rows.keys()].sort((a, b) => a - b);
    return [steps, ...SERIES.map(({ key }) => steps.map((step) => this.#rows.get(step)?.[key] ?? null))];
  }

  /**
   * Returns the lowest and highest value in sight.
   * @param {Set<string>} hidden keys of the lines that aren't shown
   * @param {Span | null} steps those in sight; null for all
   * @param {boolean} logarithmic
   * @returns {[number, number]}
   */
  valueRange(hidden, steps, logarithmic) {
    const values = [];
    for (const [step, row] of this.#rows) {
      if (steps && (step < steps.min || step > steps.max)) continue;
      for (const { key } of SERIES) {
        const value = row[key];
        if (!hidden.has(key) && typeof value === "number") values.push(value);
      }
    }
    if (!values.length) return steps ? this.valueRange(hidden, null, logarithmic) : [0, 1];
    values.sort((a, b) => a - b);
    const top = values[Math.min(Math.floor(values.length * SHARE), values.length - 1)];
    if (logarithmic) return [Math.max(values.find((value) => value > 0) ?? LEAST, LEAST), Math.max(top, 10 * LEAST) * 1.2];
    return [0, Math.max(top * 1.1, LEAST)];
  }
}

/**
 * Returns the steps in sight after zooming about one of them, or null where that would leave fewer than two.
 * @param {Span} span the steps in sight
 * @param {number} at
 * @param {number} factor below 1 zooms in
 * @param {Span} all the steps of the run
 * @returns {Span | null}
 */
export function zoomed({ min, max }, at, factor, all) {
  const next = { min: Math.max(at - (at - min) * factor, all.min), max: Math.min(at + (max - at) * factor, all.max) };
  return next.max - next.min < 2 ? null : next;
}

/**
 * Returns a line's value at a place; without a place its last one.
 * @param {readonly (number | null | undefined)[]} values
 * @param {number | null | undefined} place
 */
export function valueAt(values, place) {
  if (place !== null && place !== undefined) return values[place] ?? null;
  for (let at = values.length - 1; at >= 0; at--) if (typeof values[at] === "number") return values[at] ?? null;
  return null;
}
