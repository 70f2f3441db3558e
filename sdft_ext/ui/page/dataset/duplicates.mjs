// Copies among the pictures, grouped and side by side: remove one, or say that all are wanted.

import { pictureTile } from "./tiles.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

const AT_ONCE = 20;
const FIRST = 12;
const FURTHER = 60;
const WORDS = { "": "the best", exact: "the same file", mirrored: "mirrored", cropped: "cropped", near: "nearly the same" };

export function copiesList(app, report) {
  const { groups, exact } = report.told.copies;
  const list = el("div.copies");
  const more = el("div.row");
  const all = button(`Remove ${count(exact, "exact copy", "exact copies")}`, () => removeExact(), { kind: "small", title: "Of files that are the same, all but one", data: { action: "dataset-remove-exact" } });
  const node = el(
    "div.stack",
    { data: { role: "copies" } },
    el("div.row.wrap", {}, el("h3.subtitle", {}, groups ? `Copies (${count(groups, "group", "groups")})` : "No copies found"), el("span.spring"), exact > 1 && all),
    list,
    more,
  );
  let start = 0;

  async function next() {
    await app.attempt(async () => {
      const found = await app.api.get(report.path("copies"), { start, count: AT_ONCE });
      start += found.groups.length;
      list.append(...found.groups.map((one) => group(app, report, one)));
      const left = found.total - start;
      fill(more, left > 0 && button(`Show ${count(Math.min(left, AT_ONCE), "more group", "more groups")} of ${left.toLocaleString("en")}`, next, { kind: "small", data: { action: "dataset-more-copies" } }));
    });
  }

  async function removeExact() {
    const gone = await report.remove({ exact: true }, all);
    if (gone.length) all.hidden = true;
  }

  if (groups) next();
  return node;
}

function group(app, report, told) {
  const tiles = el("div.tiles.large");
  const more = el("div.row");
  let shown = 0;
  const next = () => {
    const some = told.files.slice(shown, shown + (shown ? FURTHER : FIRST));
    shown += some.length;
    tiles.append(...some.map((file) => pictureTile(app, report, file, { badge: WORDS[file.relation] ?? file.relation, removable: true, large: true })));
    const left = told.files.length - shown;
    fill(more, left > 0 && button(`Show ${Math.min(left, FURTHER)} more of ${left.toLocaleString("en")}`, next, { kind: "small", data: { action: "dataset-more-copies-of-one" } }));
  };
  next();
  const keep = button(told.kept ? "Ask about these again" : "Keep all", async () => {
    const wanted = !told.kept;
    const fine = await app.attempt(() => app.api.post(report.path("keep"), { finding: told.number, undo: !wanted }), keep);
    if (!fine) return;
    told.kept = wanted;
    keep.textContent = wanted ? "Ask about these again" : "Keep all";
    node.classList.toggle("sdft-kept", wanted);
    note.hidden = !wanted;
  }, { kind: "small", data: { action: "dataset-keep" } });
  const note = el("p.help", { hidden: !told.kept }, "Remembered: these are no finding any more.");
  const node = el(
    told.kept ? "div.copy-group.kept" : "div.copy-group",
    { data: { finding: String(told.number), kind: told.kind } },
    el("div.row.wrap", {}, el("p.finding-text", {}, told.text), keep),
    note,
    tiles,
    more,
  );
  return node;
}
