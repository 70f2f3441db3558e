// Captions from and to files of other programs.

import { changeNode } from "./tags.mjs";
import { dialog } from "../shared/dialog.mjs";
import { button, el, fill, freshId } from "../shared/dom.mjs";
import { chooseFolder } from "../shared/folders.mjs";
import { count } from "../shared/numbers.mjs";

const FORMATS = [
  ["txt", "Text files (.txt)", "text/plain"],
  ["caption", "Caption files (.caption)", "text/plain"],
  ["names", "File names", null],
  ["jsonl", "metadata.jsonl (diffusers)", "application/jsonl"],
  ["csv", "CSV (file_name, text)", "text/csv"],
  ["meta_cap", "meta_cap.json (kohya)", "application/json"],
  ["meta_lat", "meta_lat.json (kohya)", "application/json"],
];
/** These stand in one file, which the user may choose or download. */
const ONE_FILE = new Set(["jsonl", "csv", "meta_cap", "meta_lat"]);
const HOW = [["replace", "Put them in place of the captions"], ["empty", "Only where there is no caption"], ["append", "Add them at the end"], ["prepend", "Add them in front"]];
const SHOWN = 12;

export function importCaptions(app, book, say) {
  return dialog(
    app,
    "Import captions",
    (close) => {
      const format = select("Format", FORMATS, "import-format");
      const how = select("What happens to the captions that are there", HOW, "import-how");
      const file = el("input.input", { type: "file", id: freshId("sdft-file"), data: { action: "import-file" } });
      const source = el("div.field", {}, el("label.label", { htmlFor: file.id }, "File"), file, el("p.help", {}, "Without one, the file of this name in the folder is read."));
      const told = el("p.help", { role: "status", data: { role: "import-preview" } });
      const shown = el("div.cap-changes");
      const problem = el("p.problem", { role: "alert", hidden: true });
      const use = button("Import", () => run(), { kind: "primary", disabled: true, data: { action: "import-apply" } });
      let asked = null;
      let ready = null;
      let content = "";

      const look = async () => {
        asked?.abort();
        asked = new AbortController();
        const { signal } = asked;
        ready = null;
        use.disabled = true;
        source.hidden = !ONE_FILE.has(format.input.value);
        try {
          const body = { format: format.input.value, content: source.hidden ? "" : content, how: how.input.value };
          const found = await book.ask("import", { ...body, apply: false, most: SHOWN }, signal);
          if (signal.aborted) return;
          problem.hidden = true;
          ready = { ...body, preview: found.preview };
          const without = found.unmatched ? `; ${count(found.unmatched, "entry belongs", "entries belong")} to no picture (${found.unmatched_names.slice(0, 3).join(", ")}${found.unmatched > 3 ? ", …" : ""})` : "";
          told.textContent = `${count(found.count, "caption changes", "captions change")}${without}.`;
          fill(shown, found.notes.map((text) => el("p.advice", {}, text)), found.shown.map((one) => el("div.cap-change", {}, el("span.quiet", {}, book.entry(one.id)?.name ?? ""), changeNode(one.before, one.after))));
          use.disabled = found.count === 0;
        } catch (error) {
          if (error.name === "AbortError") return;
          told.textContent = "";
          fill(shown);
          problem.textContent = error.message;
          problem.hidden = false;
        }
      };
      const run = async () => {
        use.disabled = true;
        try {
          const found = await book.take(ready);
          say(`${count(found.count, "caption is", "captions are")} imported. Save writes them.`);
          close(true);
        } catch (error) {
          problem.textContent = error.message;
          problem.hidden = false;
        }
      };
      file.addEventListener("change", async () => {
        content = file.files.length ? await file.files[0].text() : "";
        look();
      });
      for (const one of [format, how]) one.input.addEventListener("change", look);
      look();
      return el("div.stack", {}, format.node, source, how.node, told, problem, shown, el("div.row.end", {}, button("Cancel", () => close()), use));
    },
    { wide: true },
  );
}

export function exportCaptions(app, book, say) {
  return dialog(app, "Export captions", (close) => {
    const format = select("Format", FORMATS, "export-format");
    const who = select("Of", [["all", `All ${book.order.length.toLocaleString("en")}`], ["shown", `Shown ${book.shown.length.toLocaleString("en")}`], ...(book.selected.size ? [["selected", `Selected ${book.selected.size.toLocaleString("en")}`]] : [])], "export-which");
    const folder = el("input.input", { type: "text", id: freshId("sdft-to"), spellcheck: "false", data: { action: "export-to" } });
    const browse = button("Browse…", async () => {
      const chosen = await chooseFolder(app, folder.value || book.folder, "Export captions");
      if (chosen !== null) folder.value = chosen;
      follow();
    }, { "aria-label": "Browse for a folder" });
    const place = el("div.field", {}, el("label.label", { htmlFor: folder.id }, "Folder"), el("div.row.together", {}, folder, browse), el("p.help", { data: { role: "export-help" } }));
    const over = el("input", { type: "checkbox", data: { action: "export-replace" } });
    const told = el("p.advice", { role: "status" });
    const problem = el("p.problem", { role: "alert", hidden: true });
    const go = button("Export", () => run(), { kind: "primary", data: { action: "export-apply" } });
    const follow = () => {
      const one = ONE_FILE.has(format.input.value);
      place.querySelector("[data-role=export-help]").textContent = one ? "Without a folder the file is downloaded." : "A file for each picture is written into this folder.";
      go.disabled = !one && !folder.value.trim();
      go.textContent = one && !folder.value.trim() ? "Download" : "Export";
    };
    const run = async () => {
      go.disabled = true;
      const ids = who.input.value === "all" ? {} : { ids: book.ids(who.input.value) };
      try {
        const to = folder.value.trim();
        const found = await book.ask("export", { ...ids, format: format.input.value, to, replace: over.checked });
        problem.hidden = true;
        if (!to) {
          download(found.name, found.content, FORMATS.find(([name]) => name === format.input.value)[2]);
          close(true);
          say([`${count(found.count, "caption is", "captions are")} in ${found.name}.`, ...found.notes].join(" "));
        } else if (found.left.length) {
          told.textContent = [`${count(found.written, "file is", "files are")} written. ${count(found.left.length, "file is", "files are")} there with other content and left as before: ${found.left.slice(0, 3).join(", ")}.`, ...found.notes].join(" ");
        } else {
          close(true);
          say([`${count(found.written, "file is", "files are")} written into ${to}.`, ...found.notes].join(" "));
        }
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      }
      go.disabled = false;
    };
    format.input.addEventListener("change", follow);
    folder.addEventListener("input", follow);
    follow();
    return el("div.stack", {}, format.node, who.node, place, el("label.check", {}, over, el("span", {}, "Overwrite files that are there with other content")), told, problem, el("div.row.end", {}, button("Cancel", () => close()), go));
  });
}

function select(label, choices, action) {
  const id = freshId("sdft-choice");
  const input = el("select.input", { id, data: { action } }, choices.map(([value, text]) => el("option", { value }, text)));
  return { input, node: el("div.field", {}, el("label.label", { htmlFor: id }, label), input) };
}

function download(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
