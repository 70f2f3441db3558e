// The loss, drawn live: each step, smoothed, validation; marks at saves and control pictures; read and zoomed by pointer or keyboard.

import { button, el } from "../shared/dom.mjs";
import { short } from "../shared/numbers.mjs";
import uPlot from "../vendor/uPlot.esm.js";
import { ChartData, SERIES, zoomed } from "./chart_data.mjs";
import { placeAfterKey, spanWith } from "./chart_keys.mjs";
import { ChartLegend } from "./chart_legend.mjs";
import { drawMarks } from "./chart_marks.mjs";

/** @import { LogLine } from "../types.d.ts" */
/** @import { Span } from "./chart_data.mjs" */

/** In pixels. */
const HEIGHT = 280;
const LEAST_WIDTH = 200;
/** Distances between the labels of the steps. */
const INCREMENTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6];
/** One turn of the wheel. */
const ZOOM = 0.75;
const LOGARITHMIC = 3;
/** So few steps are shown as dots. */
const FEW = 2;
const KEYS = "Arrow keys go through the steps, + and − zoom, 0 shows the whole run";

export class LossChart {
  /** A slider for the keyboard and for screen readers: its value is the step whose values the legend shows. */
  #box = el("div.chart", { role: "slider", tabIndex: 0, title: KEYS, "aria-label": "Loss", "aria-valuenow": 0, hidden: true, data: { role: "chart" } });
  #empty = el("p.quiet", {}, "The loss appears with the first step.");
  #zoomOut = button("Whole run", () => this.#reset(), { kind: "small", hidden: true, data: { action: "zoom-out" } });
  #log = el("input", { type: "checkbox", data: { action: "log-scale" } });
  #legend = new ChartLegend((key) => this.#toggle(key));
  /** Takes the style sheet's colours, as the canvas understands them. */
  #probe = el("span", { hidden: true });
  #data = new ChartData();
  /** @type {uPlot | null} */
  #plot = null;
  /** The colours that the plot was made with. */
  #theme = "";
  #zoomed = false;
  /** The steps in sight. @type {Span | null} */
  #span = null;
  /** Keys of the lines that are switched off. @type {Set<string>} */
  #hidden = new Set();

  constructor() {
    const scale = el("label.check", {}, this.#log, el("span", {}, "Logarithmic"));
    this.node = el(
      "div.stack.tight",
      {},
      el("div.row.wrap", {}, this.#legend.node, el("span.spring"), this.#zoomOut, scale),
      this.#probe,
      this.#box,
      this.#empty,
    );
    this.#log.addEventListener("change", () => this.#plot && this.#make());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("blur", () => this.#plot?.setCursor({ left: -1, top: -1 }));
    new ResizeObserver(() => this.#resize()).observe(this.#box);
  }

  /** Begins with another run. */
  clear() {
    this.#data = new ChartData();
    this.#setZoomed(false);
    this.#plot?.destroy();
    this.#plot = null;
    this.#legend.clear();
    this.#box.hidden = true;
    this.#empty.hidden = false;
  }

  /**
   * Adds lines of the log, as they come.
   * @param {LogLine[]} lines
   */
  add(lines) {
    this.#data.add(lines);
  }

  /** Draws what is new, where it can be seen. */
  draw() {
    if (!this.#data.points || this.node.offsetParent === null) return;
    this.#box.hidden = false;
    this.#empty.hidden = true;
    if (!this.#plot || this.#theme !== this.#colours()) return this.#make();
    // A zoomed view stays where it is while new steps come.
    const { min = 0, max = 0 } = this.#plot.scales.x;
    this.#plot.setData(this.#data.columns(), !this.#zoomed);
    if (this.#zoomed) this.#plot.setScale("x", { min, max });
    if (this.#plot.cursor.idx == null) this.#drawLegend(this.#plot);
  }

  /** @param {string} name */
  #colour(name) {
    this.#probe.style.color = `var(${name})`;
    return getComputedStyle(this.#probe).color;
  }

  #colours() {
    return `${this.#colour("--sdft-fg")}${this.#colour("--sdft-chart-raw")}`;
  }

  #make() {
    this.#plot?.destroy();
    const plot = new uPlot(this.#options(), this.#data.columns(), this.#box);
    this.#plot = plot;
    plot.over.addEventListener("dblclick", () => this.#reset());
    plot.over.addEventListener("wheel", (event) => this.#wheel(plot, event), { passive: false });
    this.#theme = this.#colours();
    this.#drawLegend(plot);
  }

  /** @returns {uPlot.Options} */
  #options() {
    const grid = { stroke: this.#colour("--sdft-chart-grid"), width: 1 };
    const axis = { stroke: this.#colour("--sdft-muted"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
    return {
      width: Math.max(this.#box.clientWidth, LEAST_WIDTH),
      height: HEIGHT,
      legend: { show: false },
      scales: { x: { time: false }, y: { range: () => this.#range(), distr: this.#log.checked ? LOGARITHMIC : 1 } },
      axes: [
        { ...axis, size: 34, incrs: INCREMENTS },
        { ...axis, size: 64, values: (_, ticks) => ticks.map((value) => (value === null ? "" : short(value))) },
      ],
      cursor: { drag: { x: true, y: false }, points: { size: 7 } },
      series: [{}, ...this.#series()],
      hooks: {
        draw: [(plot) => this.#drawn(plot)],
        setScale: [(plot, key) => key === "x" && this.#follow(plot)],
        setCursor: [(plot) => this.#drawLegend(plot)],
        setSelect: [
          (plot) => {
            if (plot.select.width > 0) this.#setZoomed(true);
          },
        ],
      },
    };
  }

  /** @returns {uPlot.Series[]} */
  #series() {
    return SERIES.map(({ key, label, colour, width, dots }) => ({
      label,
      stroke: this.#colour(colour),
      width,
      show: !this.#hidden.has(key),
      spanGaps: true,
      // Of two steps, a line shows nothing or little.
      points: { show: (_plot, _series, from, to) => dots || to - from < FEW, size: 6, fill: this.#colour(colour) },
    }));
  }

  /**
   * Returns the values that the chart reaches from and to: of all steps, or of those in sight.
   * @returns {[number, number]}
   */
  #range() {
    return this.#data.valueRange(this.#hidden, this.#zoomed ? this.#span : null, this.#log.checked);
  }

  /** Fits the values to the steps in sight, when these have changed. @param {uPlot} plot */
  #follow(plot) {
    const { min, max } = plot.scales.x;
    if (min == null || max == null || (this.#span?.min === min && this.#span?.max === max)) return;
    this.#span = { min, max };
    if (this.#zoomed) plot.redraw(true, true);
  }

  /** Draws what the chart itself doesn't, and describes it for readers of the page. @param {uPlot} plot */
  #drawn(plot) {
    drawMarks(plot, this.#data, (name) => this.#colour(name));
    const { x, y } = plot.scales;
    this.#box.setAttribute("aria-label", `Loss at steps ${x.min} to ${x.max}, from ${short(y.min)} to ${short(y.max)}`);
  }

  /** @param {boolean} on */
  #setZoomed(on) {
    this.#zoomed = on;
    this.#zoomOut.hidden = !on;
  }

  #reset() {
    this.#setZoomed(false);
    this.#plot?.setData(this.#data.columns(), true);
  }

  /**
   * Zooms about the pointer with Ctrl and the wheel; the wheel alone scrolls the page.
   * @param {uPlot} plot
   * @param {WheelEvent} event
   */
  #wheel(plot, event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const at = plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x");
    this.#zoom(plot, at, event.deltaY < 0 ? ZOOM : 1 / ZOOM);
  }

  /**
   * @param {uPlot} plot
   * @param {number} at the step about which the chart is zoomed
   * @param {number} factor below 1 zooms in
   */
  #zoom(plot, at, factor) {
    const { min, max } = plot.scales.x;
    const steps = plot.data[0];
    if (min == null || max == null || !steps.length) return;
    const all = { min: steps[0], max: steps[steps.length - 1] };
    const next = zoomed({ min, max }, at, factor, all);
    if (!next) return;
    this.#setZoomed(next.min > all.min || next.max < all.max);
    plot.setScale("x", next);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const plot = this.#plot;
    if (!plot || event.ctrlKey || event.altKey || event.metaKey) return;
    const steps = plot.data[0];
    const now = plot.cursor.idx ?? steps.length - 1;
    const place = placeAfterKey(event.key, now, steps.length, event.shiftKey);
    if (place !== null) this.#point(plot, place);
    else if (event.key === "+" || event.key === "=") this.#zoom(plot, steps[now], ZOOM);
    else if (event.key === "-") this.#zoom(plot, steps[now], 1 / ZOOM);
    else if (event.key === "0") this.#reset();
    else return;
    event.preventDefault();
  }

  /** Shows the values at a place, as if the pointer were there. @param {uPlot} plot @param {number} place */
  #point(plot, place) {
    const step = plot.data[0][place];
    const { min, max } = plot.scales.x;
    if (this.#zoomed && min != null && max != null) plot.setScale("x", spanWith({ min, max }, step));
    plot.setCursor({ left: plot.valToPos(step, "x"), top: plot.over.clientHeight / 2 });
  }

  #resize() {
    const { clientWidth } = this.#box;
    if (this.#plot && clientWidth > 0 && Math.abs(clientWidth - this.#plot.width) > 1)
      this.#plot.setSize({ width: clientWidth, height: HEIGHT });
  }

  /** @param {uPlot} plot */
  #drawLegend(plot) {
    const place = plot.cursor.idx;
    const steps = plot.data[0];
    const text = this.#legend.draw(this.#data, { columns: [...plot.data], place, hidden: this.#hidden });
    const values = { "aria-valuemin": steps[0], "aria-valuemax": steps.at(-1), "aria-valuenow": steps[place ?? steps.length - 1], "aria-valuetext": text };
    for (const [name, value] of Object.entries(values)) this.#box.setAttribute(name, String(value));
  }

  /** @param {string} key */
  #toggle(key) {
    const plot = this.#plot;
    if (!plot) return;
    if (!this.#hidden.delete(key)) this.#hidden.add(key);
    plot.setSeries(SERIES.findIndex((line) => line.key === key) + 1, { show: !this.#hidden.has(key) });
    plot.redraw(true, true);
    this.#drawLegend(plot);
  }
}
