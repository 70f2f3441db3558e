// The marks on the loss chart: a dashed line with a triangle at each save, a dot at the foot for control pictures.

/** @import { ChartData } from "./chart_data.mjs" */
/** @import uPlot from "../vendor/uPlot.esm.js" */

/**
 * Draws the marks that are in sight.
 * @param {uPlot} plot
 * @param {ChartData} data
 * @param {(name: string) => string} colour gives a colour of the style sheet
 */
export function drawMarks(plot, data, colour) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const { min = -Infinity, max = Infinity } = plot.scales.x;
  /** @param {number} step */
  const inside = (step) => step >= min && step <= max;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("--sdft-chart-save");
  ctx.lineWidth = ratio;
  for (const step of data.saves.filter(inside)) {
    const x = plot.valToPos(step, "x", true);
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
  for (const step of data.controls.filter(inside)) {
    ctx.beginPath();
    ctx.arc(plot.valToPos(step, "x", true), bbox.top + bbox.height, 3.5 * ratio, 0, Math.PI * 2);
    ctx.fill();
  }
  ctx.restore();
}
