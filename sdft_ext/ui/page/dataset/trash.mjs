// What was taken out of the chosen concept's folders, and the way back.

import { button, el, fill } from "../shared/dom.mjs";
import { count, when } from "../shared/numbers.mjs";

const SHOWN = 8;

export function trashSection(app, panel) {
  const list = el("div.stack.tight");
  const title = el("summary", {}, "Removed pictures");
  const fold = el("details.fold", {}, title, el("p.help", {}, "They lie in the hidden folder .sdft/trash of the dataset, and aren't trained on. Nothing is deleted."), list);
  const node = el("section.card", { "aria-label": "Removed pictures", hidden: true, data: { section: "trash" } }, fold);
  let asked = null;

  async function look() {
    asked?.abort();
    asked = new AbortController();
    const folders = ["instance", "regularization"].map((name) => String(app.draft.get(panel.path(name))).trim()).filter(Boolean);
    const found = [];
    for (const folder of new Set(folders)) {
      try {
        found.push(await app.api.get("datasets/removed", { folder }, asked.signal));
      } catch (error) {
        if (error.name === "AbortError") return;
        // The folder's own problem is said where its pictures are counted.
      }
    }
    const removals = found.flatMap((one) => one.removals.map((removal) => ({ ...removal, folder: one.folder })));
    const files = removals.reduce((sum, one) => sum + one.files.filter((file) => file.picture).length, 0);
    title.textContent = `Removed pictures (${files.toLocaleString("en")})`;
    node.hidden = !removals.length;
    fill(list, removals.map(row));
  }

  function row(removal) {
    const pictures = removal.files.filter((file) => file.picture);
    const names = (pictures.length ? pictures : removal.files).map((file) => file.name);
    const back = button("Put back", () => app.attempt(async () => {
      await app.api.post("datasets/restore", { folder: removal.folder, id: removal.id });
      panel.tell("pictures", { from: "trash" });
    }, back), { kind: "small", "aria-label": `Put ${names[0]} back`, data: { action: "dataset-put-back" } });
    return el(
      "div.removal",
      { data: { removal: removal.id } },
      el("div.thumbnails", {}, pictures.slice(0, SHOWN).map((file) => el("figure.thumbnail", { title: file.name }, el("img", { src: app.api.url(file.picture, { side: 192 }), alt: file.name, loading: "lazy", width: 72, height: 72 })))),
      el("div.stack.tight", {}, el("span.tile-name", { title: names.join("\n") }, names.slice(0, 3).join(", ") + (names.length > 3 ? ` … (${count(removal.count, "file", "files")})` : "")), el("span.quiet", {}, when(removal.time))),
      el("span.spring"),
      back,
    );
  }

  panel.listen("concept", look);
  panel.listen("pictures", look);
  return { name: "trash", node, shown: look };
}
