// The loss, drawn live: each step, smoothed, validation; marks at saves and control pictures; zoom by dragging or the wheel.

import { button, el, fill } from "../shared/dom.mjs";
import { short } from "../shared/numbers.mjs";
import uPlot from "../vendor/uPlot.esm.js";

const SERIES = [
  { key: "loss", label: "Each step", colour: "--sdft-chart-raw", width: 1 },
  { key: "smoothed", label: "Smoothed", colour: "--sdft-chart-smooth", width: 2.5 },
  { key: "validation/held_out", label: "Held-out pictures", colour: "--sdft-chart-held", width: 2, dots: true },
  { key: "validation/training", label: "Training pictures", colour: "--sdft-chart-training", width: 2, dots: true },
];
const HEIGHT = 280;

export function lossChart() {
  const box = el("div.chart", { data: { role: "chart" } });
  const empty = el("p.quiet", {}, "The loss appears with the first step.");
  const zoomOut = button("Whole run", () => reset(), { kind: "small", hidden: true, data: { action: "zoom-out" } });
  const log = el("input", { type: "checkbox", data: { action: "log-scale" } });
  const legend = el("div.legend");
  const node = el("div.stack.tight", {}, el("div.row.wrap", {}, legend, el("span.spring"), zoomOut, el("label.check", {}, log, el("span", {}, "Logarithmic"))), box, empty);

  let rows = new Map();
  let saves = [];
  let controls = [];
  let plot = null;
  let drawn = "";
  let zoomed = false;
  const hidden = new Set();

  const probe = el("span", { hidden: true });
  box.before(probe);
  /** A colour of the style sheet as the canvas understands it. */
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const theme = () => `${colour("--sdft-fg")}${colour("--sdft-chart-raw")}`;
  const data = () => {
    const steps = [...rows.keys()].sort((a, b) => a - b);
    return [steps, ...SERIES.map(({ key }) => steps.map((step) => rows.get(step)[key] ?? null))];
  };

  function reset() {
    zoomed = false;
    zoomOut.hidden = true;
    plot?.setData(data(), true);
  }

  /** A few wild steps may leave the chart. */
  function range(_, low, high) {
    if (low === null || high === null) return [0, 1];
    const values = [];
    for (const [step, row] of rows) {
      if (plot && (step < plot.scales.x.min || step > plot.scales.x.max)) continue;
      for (const { key } of SERIES) if (!hidden.has(key) && Number.isFinite(row[key])) values.push(row[key]);
    }
    values.sort((a, b) => a - b);
    if (!values.length) return [0, 1];
    const top = values[Math.min(Math.floor(values.length * 0.995), values.length - 1)];
    if (log.checked) return [Math.max(values.find((value) => value > 0) ?? 1e-6, 1e-6), Math.max(top, 1e-5) * 1.2];
    return [0, Math.max(top * 1.1, 1e-6)];
  }

  function make() {
    plot?.destroy();
    const grid = { stroke: colour("--sdft-chart-grid"), width: 1 };
    const axis = { stroke: colour("--sdft-muted"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
    plot = new uPlot(
      {
        width: Math.max(box.clientWidth, 200),
        height: HEIGHT,
        legend: { show: false },
        scales: { x: { time: false }, y: { range, distr: log.checked ? 3 : 1 } },
        axes: [
          { ...axis, size: 34, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6] },
          { ...axis, size: 64, values: (_, ticks) => ticks.map((value) => (value === null ? "" : short(value))) },
        ],
        cursor: { drag: { x: true, y: false }, points: { size: 7 } },
        series: [
          {},
          ...SERIES.map(({ key, label, colour: name, width, dots }) => ({
            label,
            stroke: colour(name),
            width,
            show: !hidden.has(key),
            spanGaps: true,
            points: dots ? { show: true, size: 6, fill: colour(name) } : { show: false },
          })),
        ],
        hooks: {
          draw: [marks],
          setCursor: [hover],
          setSelect: [
            (self) => {
              if (self.select.width > 0) {
                zoomed = true;
                zoomOut.hidden = false;
              }
            },
          ],
        },
      },
      data(),
      box,
    );
    plot.over.addEventListener("dblclick", reset);
    plot.over.addEventListener("wheel", wheel, { passive: false });
    drawn = theme();
    hover(plot);
  }

  /** Ctrl and the wheel zoom about the pointer; the wheel alone scrolls the page. */
  function wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const { min, max } = plot.scales.x;
    const at = plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x");
    const factor = event.deltaY < 0 ? 0.75 : 1 / 0.75;
    const steps = plot.data[0];
    const next = { min: Math.max(at - (at - min) * factor, steps[0]), max: Math.min(at + (max - at) * factor, steps.at(-1)) };
    if (next.max - next.min < 2) return;
    zoomed = next.min > steps[0] || next.max < steps.at(-1);
    zoomOut.hidden = !zoomed;
    plot.setScale("x", next);
  }

  function marks(self) {
    const { ctx, bbox } = self;
    const ratio = devicePixelRatio;
    const inside = (step) => step >= self.scales.x.min && step <= self.scales.x.max;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("--sdft-chart-save");
    ctx.lineWidth = ratio;
    for (const step of saves.filter(inside)) {
      const x = self.valToPos(step, "x", true);
      ctx.setLineDash([4 * ratio, 4 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(x - 5 * ratio, bbox.top);
      ctx.lineTo(x + 5 * ratio, bbox.top);
      ctx.lineTo(x, bbox.top + 8 * ratio);
      ctx.fill();
    }
    ctx.fillStyle = colour("--sdft-chart-controls");
    for (const step of controls.filter(inside)) {
      const x = self.valToPos(step, "x", true);
      ctx.beginPath();
      ctx.arc(x, bbox.top + bbox.height, 3.5 * ratio, 0, Math.PI * 2);
      ctx.fill();
    }
    ctx.restore();
  }

  /** The legend says what stands under the pointer, or else the last values. Its entries switch lines on and off. */
  function hover(self) {
    const steps = self.data[0];
    const place = self.cursor.idx ?? steps.length - 1;
    fill(
      legend,
      el("span.legend-step", {}, steps.length ? `Step ${steps[place]}` : ""),
      SERIES.map(({ key, label, colour: name }, number) => {
        if (!self.data[number + 1].some((value) => value !== null)) return null;
        let value = self.data[number + 1][place];
        if (value === null && self.cursor.idx == null) value = self.data[number + 1].findLast((one) => one !== null);
        return el(
          "button.legend-entry",
          { type: "button", "aria-pressed": String(!hidden.has(key)), onclick: () => toggle(key, number + 1) },
          el("span.swatch", { style: `background: var(${name})`, "aria-hidden": "true" }),
          el("span", {}, label),
          el("span.legend-value", {}, value === null || value === undefined ? "" : short(value)),
        );
      }),
      saves.length > 0 && el("span.legend-entry", {}, el("span.swatch", { style: "background: var(--sdft-chart-save)", "aria-hidden": "true" }), el("span", {}, "Save")),
      controls.length > 0 && el("span.legend-entry", {}, el("span.swatch", { style: "background: var(--sdft-chart-controls)", "aria-hidden": "true" }), el("span", {}, "Control pictures")),
    );
  }

  function toggle(key, number) {
    if (hidden.has(key)) hidden.delete(key);
    else hidden.add(key);
    plot.setSeries(number, { show: !hidden.has(key) });
    plot.redraw(true, true);
    hover(plot);
  }

  log.addEventListener("change", () => plot && make());
  new ResizeObserver(() => {
    if (plot && box.clientWidth > 0 && Math.abs(box.clientWidth - plot.width) > 1) plot.setSize({ width: box.clientWidth, height: HEIGHT });
  }).observe(box);

  return {
    node,
    clear() {
      rows = new Map();
      saves = [];
      controls = [];
      zoomed = false;
      zoomOut.hidden = true;
      plot?.destroy();
      plot = null;
      fill(legend);
      box.hidden = true;
      empty.hidden = false;
    },
    /** Lines of the log, as they come. */
    add(lines) {
      for (const line of lines) {
        if (line.event === "save") saves.push(line.step);
        else if (line.event === "controls") controls.push(line.step);
        const found = SERIES.filter(({ key }) => key in line);
        if (!found.length) continue;
        const row = rows.get(line.step) ?? {};
        for (const { key } of found) {
          const value = Number(line[key]);
          row[key] = Number.isFinite(value) ? value : null;
        }
        rows.set(line.step, row);
      }
    },
    draw() {
      if (!rows.size || box.parentElement.offsetParent === null) return;
      box.hidden = false;
      empty.hidden = true;
      if (!plot || drawn !== theme()) make();
      else {
        // A zoomed view stays where it is while new steps come.
        const { min, max } = plot.scales.x;
        plot.setData(data(), !zoomed);
        if (zoomed) plot.setScale("x", { min, max });
        if (plot.cursor.idx == null) hover(plot);
      }
    },
    get points() {
      return rows.size;
    },
  };
}
