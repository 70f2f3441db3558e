// A finished report: its summary, charts, duplicates and findings.

import { el, fill } from "../shared/dom.mjs";
import { bucketBars, histogram, leftOverColumns } from "./charts.mjs";
import { duplicatesList } from "./duplicates.mjs";
import { findingsList } from "./findings.mjs";
import { summaryOf } from "./report_text.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { OpenReport } from "./open_report.mjs" */
/** @import { DatasetPanel, DatasetReport } from "./types.d.ts" */

const BATCH = "train.batch_size";

/** @param {App} app @param {DatasetPanel} panel @param {OpenReport} open */
export function reportView(app, panel, open) {
  const node = el("div.stack", { data: { role: "report" } });
  const charts = el("div.report-charts");
  /** Which report and batch size the charts show. */
  let drawn = "";

  /** Draws the report anew; nothing where there is none. */
  function draw() {
    open.forgetWatchers();
    if (!open.data) {
      fill(node);
      return;
    }
    fill(
      node,
      el("p", { data: { role: "counts" } }, summaryOf(open.data)),
      charts,
      histograms(open.data),
      duplicatesList(app, open, open.data),
      findingsList(app, panel, open, open.data),
    );
    drawCharts();
  }

  /** Draws what batches leave over: it follows the batch size of the draft at once. */
  function drawCharts() {
    const batch = Number(app.draft.get(BATCH));
    const now = `${open.id} ${batch}`;
    if (!open.data || drawn === now) return;
    drawn = now;
    const help = `Showings of an epoch by shape. Hatched: what a batch size of ${batch} leaves over; it opens the next epoch.`;
    fill(
      charts,
      el("div.stack.tight", { "aria-label": "Buckets", role: "group" }, el("h3.subtitle", {}, "Buckets"), el("p.help", {}, help), bucketBars(open.data.buckets, batch)),
      el(
        "div.stack.tight",
        {},
        el("h3.subtitle", {}, "Left over, by batch size"),
        el("p.help", {}, "Click a batch size to use it."),
        leftOverColumns(open.data.left_over, batch, (size) => app.draft.set(BATCH, size)),
      ),
    );
  }

  return { node, draw, drawCharts };
}

/** @param {DatasetReport} report */
function histograms({ histograms: found, figures }) {
  return el(
    "div.histograms",
    {},
    histogram("Shorter side", found.shorter_side, figures.shorter_side, { write: (value) => `${Math.round(value)} px` }),
    histogram("Sharpness", found.sharpness, figures.sharpness, { ends: ["blurred", "sharp"] }),
    histogram("Brightness", found.brightness, figures.brightness, { ends: ["dark", "bright"] }),
  );
}
