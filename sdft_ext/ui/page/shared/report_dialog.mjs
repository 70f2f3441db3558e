// The report of a run, in a window.

import { part } from "./api.mjs";
import { dialog } from "./dialog.mjs";
import { el } from "./dom.mjs";
import { pictureRoute, reportBlocks } from "./report_text.mjs";

/** @import { App, RunDetail } from "../types.d.ts" */
/** @import { Block, Piece } from "./report_text.mjs" */

/** Pictures up to this side are enlarged without blur [pixels]. */
const SMALL = 128;

/**
 * Shows the report of a run as it is now.
 * @param {App} app
 * @param {string} run
 */
export function showReport(app, run) {
  return app.attempt(async () => {
    /** @type {RunDetail} */
    const { name, report } = await app.api.get(`runs/${part(run)}`);
    if (!report) throw new Error(`${name} has no report yet: it is written when the run ends.`);
    // The window's own title names the run.
    const blocks = reportBlocks(report).filter((block) => block.kind !== "heading" || block.level > 1);
    await dialog(app, `Report of ${name}`, () => el("div.report-text", {}, blocks.map((block) => blockNode(app, run, block))), { wide: true });
  });
}

/**
 * @param {App} app
 * @param {string} run
 * @param {Block} block
 */
function blockNode(app, run, block) {
  /** @param {Piece[]} pieces */
  const inline = (pieces) => pieces.map((piece) => pieceNode(app, run, piece));
  if (block.kind === "heading") return el("h3.subtitle", {}, inline(block.pieces));
  if (block.kind === "paragraph") return el("p", {}, inline(block.pieces));
  if (block.kind === "list") return el("ul", {}, block.items.map((item) => el("li", {}, inline(item))));
  const head = el("tr", {}, block.head.map((cell) => el("th", { scope: "col" }, inline(cell))));
  const rows = block.rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, inline(cell)))));
  return el("div.table-box", {}, el("table.table", {}, el("thead", {}, head), el("tbody", {}, rows)));
}

/**
 * @param {App} app
 * @param {string} run
 * @param {Piece} piece
 */
function pieceNode(app, run, { kind, text, target = "" }) {
  if (kind === "strong") return el("strong", {}, text);
  const route = kind === "image" ? pictureRoute(target) : null;
  // A link names a file in the run's folder, which a page can't open.
  if (!route) return text;
  const image = el("img", { src: app.api.url(`runs/${part(run)}/${route}`), alt: text, loading: "lazy" });
  image.addEventListener("load", () => image.classList.toggle("sdft-pixels", image.naturalWidth <= SMALL));
  return image;
}
