// What was removed from the chosen concept's folders, and the way back.

import { aborted } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count, thousands, when } from "../shared/numbers.mjs";
import { thumbnail } from "../shared/thumbnails.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { DatasetPanel, DatasetSection } from "./types.d.ts" */

/** @typedef {{ id: string, time: number, files: { name: string, picture: string | null }[], count: number }} Removal */
/** @typedef {{ folder: string, removals: Removal[] }} Removals the answer of `GET datasets/removed` */

/** How many pictures of a removal are shown. */
const SHOWN = 8;

/** @param {App} app @param {DatasetPanel} panel @returns {DatasetSection} */
export function trashSection(app, panel) {
  const list = el("div.stack.tight");
  const title = el("summary", {}, "Removed pictures");
  const help = "They are in the dataset's hidden folder .sdft/trash, and aren't trained on. Nothing is deleted.";
  const fold = el("details.fold", {}, title, el("p.help", {}, help), list);
  const node = el("section.card", { "aria-label": "Removed pictures", hidden: true, data: { section: "trash" } }, fold);
  let request = new AbortController();

  async function refresh() {
    request.abort();
    request = new AbortController();
    const folders = ["instance", "regularization"].map((name) => app.draft.text(panel.path(name))).filter(Boolean);
    /** @type {Removals[]} */
    const found = [];
    for (const folder of new Set(folders)) {
      try {
        found.push(await app.api.get("datasets/removed", { folder }, request.signal));
      } catch (error) {
        if (aborted(error)) return;
        // What is wrong with the folder is said where its pictures are counted.
      }
    }
    const removals = found.flatMap(({ folder, removals: all }) => all.map((removal) => ({ folder, removal })));
    const files = removals.reduce((sum, { removal }) => sum + picturesOf(removal).length, 0);
    title.textContent = `Removed pictures (${thousands(files)})`;
    node.hidden = !removals.length;
    fill(list, removals.map(({ folder, removal }) => removalView(app, panel, folder, removal)));
  }

  panel.listen("concept", refresh);
  panel.listen("pictures", refresh);
  return { name: "trash", node, shown: refresh };
}

/** Shows files that were removed together. @param {App} app @param {DatasetPanel} panel @param {string} folder @param {Removal} removal */
function removalView(app, panel, folder, removal) {
  const pictures = picturesOf(removal);
  const names = (pictures.length ? pictures : removal.files).map((file) => file.name);
  const restore = () =>
    app.attempt(async () => {
      await app.api.post("datasets/restore", { folder, id: removal.id });
      panel.notify("pictures", { from: "trash" });
    }, back);
  const back = button("Put back", restore, { kind: "small", "aria-label": `Put back ${names[0]}`, data: { action: "dataset-put-back" } });
  const first = names.slice(0, 3).join(", ") + (names.length > 3 ? ` … (${count(removal.count, "file", "files")})` : "");
  return el(
    "div.removal",
    { data: { removal: removal.id } },
    el("div.thumbnails", {}, pictures.slice(0, SHOWN).map(({ name, picture }) => thumbnail(app, { picture, text: name }))),
    el("div.stack.tight", {}, el("span.tile-name", { title: names.join("\n") }, first), el("span.quiet", {}, when(removal.time))),
    el("span.spring"),
    back,
  );
}

/** @param {Removal} removal */
function picturesOf({ files }) {
  return files.flatMap(({ name, picture }) => (picture ? [{ name, picture }] : []));
}
