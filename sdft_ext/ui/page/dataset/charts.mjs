// Small charts of a dataset, drawn with plain elements: a meter against the guide, histograms, buckets, what batches leave over.

import { el } from "../shared/dom.mjs";
import { count, short, thousands } from "../shared/numbers.mjs";

/** @import { Bucket, Histogram, Spread } from "./types.d.ts" */

/**
 * Shows a number on a line on which the recommended range is marked.
 * @param {string} label
 * @param {number} value
 * @param {{ low: number, high: number, text: string }} recommended
 */
export function meter(label, value, { low, high, text }) {
  const end = Math.max(high * 1.25, value * 1.05, 1);
  const state = value < low || value > high ? "warn" : high > 0 ? "good" : "quiet";
  /** @param {number} number */
  const share = (number) => `${Math.min((100 * number) / end, 100)}%`;
  return el(
    "div.guide-count",
    {},
    el("div.row", {}, el("span.label", {}, label), el("span.spring"), el(`span.guide-number.${state}`, { data: { count: label } }, thousands(value))),
    el(
      "div.guide-line",
      { role: "img", "aria-label": `${count(value, "picture", "pictures")}; ${text}` },
      high > 0 && el("div.guide-range", { style: `left: ${share(low)}; width: calc(${share(high)} - ${share(low)})` }),
      el(`div.guide-fill.${state}`, { style: `width: ${share(value)}` }),
    ),
    el("p.help", {}, text),
  );
}

/**
 * Shows how values spread; nothing where there are none.
 * @param {string} label
 * @param {Histogram | null} found
 * @param {Spread | null} spread
 * @param {{ write?: (value: number) => string, ends?: [string, string] | null }} options write: a value as text; ends: texts below the axis
 */
export function histogram(label, found, spread, { write = short, ends = null } = {}) {
  if (!found || !spread) return null;
  const top = Math.max(...found.counts, 1);
  const width = (found.high - found.low) / found.counts.length;
  const range = `${write(spread.least)} to ${write(spread.most)}, median ${write(spread.middle)}`;
  const columns = found.counts.map((number, place) => {
    const title = `${write(found.low + place * width)} to ${write(found.low + (place + 1) * width)}: ${thousands(number)}`;
    return el("div.column", { title }, el("div", { style: `height: ${number ? Math.max((100 * number) / top, 3) : 0}%` }));
  });
  const high = found.high > found.low && el("span.quiet", {}, ends?.[1] ?? write(found.high));
  return el(
    "div.histogram",
    { role: "img", "aria-label": `${label}: ${range}` },
    el("span.label", {}, label),
    el("div.columns", {}, columns),
    el("div.row", {}, el("span.quiet", {}, ends?.[0] ?? write(found.low)), el("span.spring"), high),
    el("p.help", {}, range),
  );
}

/** Shows a bar for each bucket: its showings an epoch, and of them those that don't fill a batch. @param {Bucket[]} list @param {number} batch */
export function bucketBars(list, batch) {
  const top = Math.max(...list.map((one) => one.showings), 1);
  /** @param {Bucket} one */
  const bar = (one) => {
    const over = one.showings % batch;
    const size = `${one.width} × ${one.height}`;
    const text = `${size}: ${decimal(one.instance_pictures)} pictures, ${decimal(one.regularization_pictures)} for regularization; a batch size of ${batch} leaves ${decimal(over)} over`;
    /** @param {number} number */
    const width = (number) => `width: ${(100 * number) / top}%`;
    return el(
      "div.bucket",
      { title: text, role: "img", "aria-label": text },
      el("span.bucket-name", {}, size),
      el("div.bucket-bar", {}, el("div.bucket-full", { style: width(one.showings - over) }), el("div.bucket-over", { style: width(over) })),
      el("span.quiet", {}, over ? `${decimal(one.showings)}, ${decimal(over)} left over` : decimal(one.showings)),
    );
  };
  return el("div.buckets", {}, list.map(bar));
}

/**
 * Shows a column for each batch size: what it leaves over; a click chooses the size.
 * @param {Record<string, number>} leftOver by batch size
 * @param {number} batch the size that is chosen
 * @param {(size: number) => unknown} choose
 */
export function leftOverColumns(leftOver, batch, choose) {
  const sizes = Object.entries(leftOver).map(([size, over]) => ({ size: Number(size), over })).sort((a, b) => a.size - b.size);
  const top = Math.max(...sizes.map(({ over }) => over), 1);
  const columns = sizes.map(({ size, over }) =>
    el(
      "button.over",
      {
        type: "button",
        onclick: () => choose(size),
        "aria-pressed": String(size === batch),
        title: `Batch size ${size}: ${decimal(over)} left over. Click to use it.`,
        data: { action: "dataset-batch", size: String(size) },
      },
      el("span.over-value", {}, decimal(over)),
      el("span.over-column", {}, el("span", { style: `height: ${(100 * over) / top}%` })),
      el("span.spoken", {}, " left over, batch size "),
      el("span.over-size", {}, String(size)),
    ),
  );
  return el("div.left-over", { role: "group", "aria-label": "Pictures left over, by batch size" }, columns);
}

/** @param {number} value */
const decimal = (value) => thousands(Number(value.toFixed(1)));
