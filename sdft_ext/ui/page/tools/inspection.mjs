// What a file holds, and what a pickle would import, as tables. All of it is foreign text.

import { el } from "../shared/dom.mjs";
import { baseName } from "./files.mjs";

/** @import { Description, Scan } from "./types.d.ts" */

/** Longer values are folded. */
const SHOWN = 300;
/** @type {Record<string, string>} */
const VERDICTS = {
  tensors: "Tensors: read here",
  harmless: "Harmless: not imported",
  suspicious: "Unknown: not imported",
  dangerous: "Could run programs",
};
const ORDER = ["dangerous", "suspicious", "harmless", "tensors"];
/** How the notice of a whole file looks, and what to do. @type {Record<Scan["verdict"], [look: string, advice: string]>} */
const ADVICE = {
  harmless: ["good", ""],
  suspicious: ["warn", ""],
  damaged: ["warn", ""],
  dangerous: ["bad", " Some imports could run programs. Don't open this file in other programs. Convert keeps only its tensors."],
};

/**
 * Shows the answer of `tools/look` as a card.
 * @param {Description | Scan} found
 */
export function inspectionCard(found) {
  return el(
    "section.card",
    { "aria-label": "File contents", data: { section: "tool-look" } },
    el("h2.title", {}, baseName(found.file)),
    el("p.help.tool-told", {}, found.file),
    "imports" in found ? scanNode(found) : descriptionNode(found),
  );
}

/** @param {Description} found */
function descriptionNode({ facts, metadata }) {
  return el(
    "div.stack",
    {},
    table(
      "Facts",
      facts.map(({ name, value }) => row(name, value)),
    ),
    metadata.length > 0
      ? table(
          "Metadata",
          metadata.map(({ name, value }) => row(name, value)),
        )
      : el("p.quiet", {}, "This file has no metadata."),
  );
}

/** @param {Scan} found */
function scanNode({ imports, verdict, message }) {
  const sorted = [...imports].sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
  const [look, advice] = ADVICE[verdict];
  return el(
    "div.stack",
    {},
    el(`div.notice.${look}`, { role: "status" }, el("span", {}, message, advice)),
    sorted.length > 0 &&
      table(
        "What the file would import",
        sorted.map((one) => row(one.name, VERDICTS[one.verdict] ?? one.verdict, one.verdict)),
      ),
  );
}

/**
 * @param {string} title
 * @param {HTMLElement[]} rows
 */
function table(title, rows) {
  return el("div.table-box", {}, el("table.table.tool-table", {}, el("caption.subtitle", {}, title), el("tbody", {}, rows)));
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} verdict
 */
function row(name, value, verdict = "") {
  const whole = String(value);
  const text = whole.length <= SHOWN ? whole : el("details", {}, el("summary", {}, `${whole.slice(0, SHOWN)} …`), whole);
  return el("tr", { data: { fact: name, ...(verdict && { verdict }) } }, el("th", { scope: "row" }, name), el("td", {}, text));
}
