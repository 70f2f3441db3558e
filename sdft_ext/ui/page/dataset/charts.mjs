// Small charts of a dataset, drawn with plain elements: a meter against the guide, histograms, buckets, what batches leave over.

import { el } from "../shared/dom.mjs";
import { short } from "../shared/numbers.mjs";

/** A number on a line on which the recommended range is marked. */
export function meter(label, value, low, high, words) {
  const end = Math.max(high * 1.25, value * 1.05, 1);
  const state = value < low || value > high ? "warn" : high > 0 ? "good" : "quiet";
  const share = (number) => `${Math.min((100 * number) / end, 100)}%`;
  return el(
    "div.guide-count",
    {},
    el("div.row", {}, el("span.label", {}, label), el("span.spring"), el(`span.guide-number.${state}`, { data: { count: label } }, value.toLocaleString("en"))),
    el(
      "div.guide-line",
      { role: "img", "aria-label": `${value.toLocaleString("en")} pictures; ${words}` },
      high > 0 && el("div.guide-range", { style: `left: ${share(low)}; width: calc(${share(high)} - ${share(low)})` }),
      el(`div.guide-fill.${state}`, { style: `width: ${share(value)}` }),
    ),
    el("p.help", {}, words),
  );
}

/** How values spread: `{ low, high, counts }` and `{ least, middle, most }`. */
export function histogram(label, told, figures, { digits = (value) => short(value), ends = null } = {}) {
  if (!told || !figures) return null;
  const top = Math.max(...told.counts, 1);
  const width = (told.high - told.low) / told.counts.length;
  const words = `${label}: ${digits(figures.least)} to ${digits(figures.most)}, middle ${digits(figures.middle)}`;
  return el(
    "figure.histogram",
    { role: "img", "aria-label": words },
    el("figcaption.label", {}, label),
    el(
      "div.columns",
      {},
      told.counts.map((number, place) =>
        el("div.column", { title: `${digits(told.low + place * width)} to ${digits(told.low + (place + 1) * width)}: ${number.toLocaleString("en")}` }, el("div", { style: `height: ${number ? Math.max((100 * number) / top, 3) : 0}%` })),
      ),
    ),
    el("div.row", {}, el("span.quiet", {}, ends?.[0] ?? digits(told.low)), el("span.spring"), told.high > told.low && el("span.quiet", {}, ends?.[1] ?? digits(told.high))),
    el("p.help", {}, `${digits(figures.least)} to ${digits(figures.most)}, middle ${digits(figures.middle)}`),
  );
}

/** Bars of the buckets: showings an epoch, and of them those that don't fill a batch. */
export function buckets(list, batch) {
  const top = Math.max(...list.map((one) => one.showings), 1);
  const bar = (one) => {
    const over = one.showings % batch;
    const words = `${one.width} × ${one.height}: ${number(one.instance_pictures)} pictures, ${number(one.regularization_pictures)} for regularization; ${number(over)} left over by a batch of ${batch}`;
    return el(
      "div.bucket",
      { title: words, role: "img", "aria-label": words },
      el("span.bucket-name", {}, `${one.width} × ${one.height}`),
      el("div.bucket-bar", {}, el("div.bucket-full", { style: `width: ${(100 * (one.showings - over)) / top}%` }), el("div.bucket-over", { style: `width: ${(100 * over) / top}%` })),
      el("span.quiet", {}, over ? `${number(one.showings)}, ${number(over)} left over` : number(one.showings)),
    );
  };
  return el("div.buckets", {}, list.map(bar));
}

/** Columns of what each batch size leaves over; a click chooses the size. */
export function leftOver(told, batch, choose) {
  const sizes = Object.entries(told).map(([size, over]) => [Number(size), over]).sort((a, b) => a[0] - b[0]);
  const top = Math.max(...sizes.map(([, over]) => over), 1);
  return el(
    "div.left-over",
    { role: "group", "aria-label": "Pictures left over, by batch size" },
    sizes.map(([size, over]) =>
      el(
        "button.over",
        { type: "button", onclick: () => choose(size), "aria-pressed": String(size === batch), title: `Batch size ${size}: ${number(over)} left over. Click to use it.`, "aria-label": `Batch size ${size}, ${number(over)} left over`, data: { action: "dataset-batch", size: String(size) } },
        el("span.over-value", {}, number(over)),
        el("span.over-column", {}, el("span", { style: `height: ${(100 * over) / top}%` })),
        el("span.over-size", {}, String(size)),
      ),
    ),
  );
}

const number = (value) => Number(value.toFixed(1)).toLocaleString("en");
