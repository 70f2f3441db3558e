// The differences between the recipes of two runs.

import { dialog } from "../shared/dialog.mjs";
import { el } from "../shared/dom.mjs";
import { shown } from "../shared/setting_text.mjs";

/** @import { App, Value } from "../types.d.ts" */

/** @typedef {{ path: string, label: string, a: Value, b: Value }} Difference */

/**
 * Shows in which settings two runs differ.
 * @param {App} app
 * @param {string[]} pair their ids
 */
export function compareRuns(app, [a, b]) {
  return app.attempt(async () => {
    /** @type {{ differences: Difference[] }} */
    const { differences } = await app.api.get("compare", { a, b });
    const names = [a, b].map((id) => app.runs.runs.find((run) => run.id === id)?.name ?? id);
    await dialog(app, "Differences", () => differencesNode(differences, names), { wide: true });
  });
}

/**
 * @param {Difference[]} differences
 * @param {string[]} names of the runs
 */
function differencesNode(differences, names) {
  if (!differences.length) return el("p.quiet", {}, "The two recipes are the same.");
  const heads = ["Setting", ...names].map((name) => el("th", { scope: "col" }, name));
  const rows = differences.map(({ path, label, a, b }) =>
    el("tr", { data: { setting: path } }, el("th", { scope: "row", title: path }, label), el("td", {}, shown(a)), el("td", {}, shown(b))),
  );
  return el("div.table-box", {}, el("table.table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)));
}
