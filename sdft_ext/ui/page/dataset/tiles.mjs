// One picture of a report: small, with its name and facts, and the button that removes it from the dataset.

import { button, el } from "../shared/dom.mjs";
import { fileSize } from "../shared/numbers.mjs";
import { pixelClass } from "../shared/thumbnails.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { ReportedFile, ReportRemoval } from "./types.d.ts" */
/** @import { OpenReport } from "./open_report.mjs" */

/**
 * Shows a file. A tile follows what is removed and put back, wherever that is done.
 * @param {App} app
 * @param {OpenReport} report
 * @param {ReportedFile} file
 * @param {{ badge?: string, removable?: boolean, large?: boolean }} options
 */
export function pictureTile(app, report, file, { badge = "", removable = false, large = false } = {}) {
  const press = removable && button("", () => (file.removed ? restore() : remove()), { kind: "small", data: { action: "dataset-remove" } });
  const node = figure(app, file, badge, large);
  if (press) node.append(press);
  /** @type {ReportRemoval | null} */
  let removal = null;

  const draw = () => {
    node.classList.toggle("sdft-removed", file.removed);
    if (!press) return;
    press.textContent = file.removed ? "Put back" : "Remove";
    press.setAttribute("aria-label", `${press.textContent} ${file.name}`);
    // What was removed with others, or before this page was loaded, is put back from the list of removed pictures.
    press.disabled = file.removed && !removal;
  };

  async function remove() {
    const removed = await report.remove({ files: [file.file] }, press || null);
    removal = removed[0] ?? null;
    draw();
  }

  async function restore() {
    if (removal) await report.restore([removal], press || null);
    draw();
  }

  report.watch((numbers, gone) => {
    if (!numbers.includes(file.file)) return;
    file.removed = gone;
    if (!gone) removal = null;
    draw();
  });
  draw();
  return node;
}

/**
 * Frames a part of a picture, which is shown whole in the middle of a square.
 * @param {number} width @param {number} height @param {[number, number, number, number]} box shares of the sides
 */
function frame(width, height, box) {
  const { left, top, wide, high } = placedInSquare(width, height, box);
  const node = el("span.tile-frame", { "aria-hidden": "true" });
  Object.assign(node.style, { left: `${left}%`, top: `${top}%`, width: `${wide}%`, height: `${high}%` });
  return node;
}

/**
 * Returns where a part of a picture is in percent of a square that shows the picture whole, in its middle.
 * @param {number} width @param {number} height @param {[number, number, number, number]} box shares of the sides
 */
export function placedInSquare(width, height, [left, top, right, bottom]) {
  const longer = Math.max(width, height);
  const [across, down] = [(100 * width) / longer, (100 * height) / longer];
  return { left: (100 - across) / 2 + left * across, top: (100 - down) / 2 + top * down, wide: (right - left) * across, high: (bottom - top) * down };
}

/** @param {App} app @param {ReportedFile} file @param {string} badge @param {boolean} large */
function figure(app, file, badge, large) {
  const facts = file.width ? `${file.width} × ${file.height} · ${fileSize(file.bytes)}` : "";
  const text = file.caption ? `${file.name}: ${file.caption}` : file.name;
  const image = file.picture && el("img", { src: app.api.url(file.picture, { side: large ? 384 : 192 }), alt: text, loading: "lazy" });
  if (image && file.width && pixelClass(file.width, file.height)) image.classList.add(pixelClass(file.width, file.height));
  return el(
    large ? "figure.tile.large" : "figure.tile",
    { title: `${text}${facts ? `\n${facts}` : ""}`, data: { file: String(file.file) } },
    el(
      "div.tile-picture",
      {},
      image || el("span.quiet", {}, "no picture"),
      image && file.box && frame(file.width, file.height, file.box),
      badge && el("span.tile-badge", {}, badge),
      file.regularization && el("span.tile-badge.right", {}, "regularization"),
    ),
    el(
      "figcaption.tile-words",
      {},
      el("span.tile-name", {}, file.name),
      large && facts && el("span.quiet", {}, facts),
      large && file.caption && el("span.tile-caption", {}, file.caption),
    ),
  );
}
