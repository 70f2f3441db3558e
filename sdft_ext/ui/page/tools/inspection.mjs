// What a file holds and says of itself, and what a pickle would import, as tables. All of it is foreign text.

import { el } from "../shared/dom.mjs";
import { base } from "./fields.mjs";

const SHOWN = 300;
const VERDICTS = {
  tensors: "Tensors: read here",
  harmless: "Harmless: not imported",
  suspicious: "Unknown: not imported",
  dangerous: "Could run programs",
};
const ORDER = ["dangerous", "suspicious", "harmless", "tensors"];
/** Of a whole file: [look, what to do]. */
const ADVICE = {
  harmless: ["good", ""],
  suspicious: ["warn", " Some imports are unknown here: nothing says what they would do. Convert keeps only its tensors."],
  damaged: ["warn", ""],
  dangerous: ["bad", " Some imports could run programs. Don't open this file elsewhere; Convert keeps only its tensors."],
};

/** The answer of `tools/look` as a card. */
export function looked(tool, found) {
  return el("section.card", { "aria-label": "What it holds", data: { section: "tool-look" } }, el("h2.title", {}, base(found.file)), el("p.help.tool-told", {}, found.file), tool === "scan" ? scanned(found) : described(found));
}

function described({ facts, metadata }) {
  return el(
    "div.stack",
    {},
    table("Facts", facts.map(({ name, value }) => row(name, value))),
    metadata.length > 0 ? table("What it says of itself", metadata.map(({ name, value }) => row(name, value))) : el("p.quiet", {}, "It says nothing of itself: there is no metadata."),
  );
}

function scanned({ imports, verdict, message }) {
  const sorted = [...imports].sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
  const [look, advice] = ADVICE[verdict];
  return el(
    "div.stack",
    {},
    el(`div.notice.${look}`, { role: "status" }, el("span", {}, message, advice)),
    sorted.length > 0 && table("What it would import", sorted.map(({ name, verdict: one }) => row(name, VERDICTS[one] ?? one, one))),
  );
}

function table(title, rows) {
  return el("div.table-box", {}, el("table.table.tool-table", {}, el("caption.subtitle", {}, title), el("tbody", {}, rows)));
}

function row(name, value, verdict = "") {
  const whole = String(value);
  const text = whole.length <= SHOWN ? whole : el("details", {}, el("summary", {}, `${whole.slice(0, SHOWN)} …`), whole);
  return el("tr", { data: { fact: name, ...(verdict && { verdict }) } }, el("th", { scope: "row" }, name), el("td", {}, text));
}
