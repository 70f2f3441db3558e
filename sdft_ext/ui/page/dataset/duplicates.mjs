// Duplicates among the pictures, grouped and side by side: remove some, or keep them all.

import { button, el, fill } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";
import { pictureTile } from "./tiles.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { OpenReport } from "./open_report.mjs" */
/** @import { DatasetReport, DuplicateGroup } from "./types.d.ts" */

/** How many groups are asked for at once. */
const GROUPS = 20;
/** How many files of a group are shown at first, and with each further click. */
const FIRST = 12;
const MORE = 60;
/** How a file differs from the one to keep. @type {Record<string, string>} */
const RELATIONS = { "": "the best", exact: "the same file", mirrored: "mirrored", rotated: "rotated", cropped: "cropped", near: "nearly the same" };
const KEEP = "Keep all";
const REPORT_AGAIN = "Report again";

/** @param {App} app @param {OpenReport} open @param {DatasetReport} report */
export function duplicatesList(app, open, report) {
  const { groups, exact } = report.copies;
  const list = el("div.copies");
  const more = el("div.row");
  const all = button(`Remove ${count(exact, "exact duplicate", "exact duplicates")}`, removeExact, {
    kind: "small",
    title: "Keeps one of each group of identical files",
    data: { action: "dataset-remove-exact" },
  });
  const title = groups ? `Duplicates (${count(groups, "group", "groups")})` : "No duplicates found";
  const head = el("div.row.wrap", {}, el("h3.subtitle", {}, title), el("span.spring"), exact > 1 && all);
  let start = 0;

  async function next() {
    await app.attempt(async () => {
      /** @type {{ groups: DuplicateGroup[], total: number }} */
      const found = await app.api.get(open.path("copies"), { start, count: GROUPS });
      start += found.groups.length;
      list.append(...found.groups.map((one) => groupView(app, open, one)));
      const left = found.total - start;
      const label = `Show ${count(Math.min(left, GROUPS), "more group", "more groups")} of ${thousands(left)}`;
      fill(more, left > 0 && button(label, next, { kind: "small", data: { action: "dataset-more-copies" } }));
    });
  }

  async function removeExact() {
    const removed = await open.remove({ exact: true }, all);
    if (removed.length) all.hidden = true;
  }

  if (groups) next();
  return el("div.stack", { data: { role: "copies" } }, head, list, more);
}

/** Shows a group of duplicates. @param {App} app @param {OpenReport} open @param {DuplicateGroup} group */
function groupView(app, open, group) {
  const keep = button(group.kept ? REPORT_AGAIN : KEEP, toggle, { kind: "small", data: { action: "dataset-keep" } });
  const note = el("p.help", { hidden: !group.kept }, "Kept. They won't be reported again.");
  const node = el(
    group.kept ? "div.copy-group.kept" : "div.copy-group",
    { data: { finding: String(group.number), kind: group.kind } },
    el("div.row.wrap", {}, el("p.finding-text", {}, group.text), keep),
    note,
    ...groupTiles(app, open, group),
  );

  async function toggle() {
    const kept = !group.kept;
    const done = await app.attempt(() => app.api.post(open.path("keep"), { finding: group.number, undo: !kept }), keep);
    if (!done) return;
    group.kept = kept;
    keep.textContent = kept ? REPORT_AGAIN : KEEP;
    node.classList.toggle("sdft-kept", kept);
    note.hidden = !kept;
  }

  return node;
}

/** Makes the pictures of a group, and the button that shows more of them. @param {App} app @param {OpenReport} open @param {DuplicateGroup} group */
function groupTiles(app, open, group) {
  const tiles = el("div.tiles.large");
  const more = el("div.row");
  let shown = 0;
  const next = () => {
    const some = group.files.slice(shown, shown + (shown ? MORE : FIRST));
    shown += some.length;
    tiles.append(...some.map((file) => pictureTile(app, open, file, { badge: RELATIONS[file.relation ?? ""] ?? file.relation, removable: true, large: true })));
    const left = group.files.length - shown;
    const label = `Show ${Math.min(left, MORE)} more of ${thousands(left)}`;
    fill(more, left > 0 && button(label, next, { kind: "small", data: { action: "dataset-more-copies-of-one" } }));
  };
  next();
  return [tiles, more];
}
