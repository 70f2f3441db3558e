// Adds pictures to the chosen concept: dropped, chosen as files or a folder, or packed in a zip.

import { button, el, fill } from "../shared/dom.mjs";
import { count, megabytes } from "../shared/numbers.mjs";
import { dropped, picked, upload } from "../shared/upload.mjs";

export function addSection(app, panel) {
  const target = el(
    "select.input.small",
    { "aria-label": "Where the pictures go", data: { action: "dataset-target" } },
    el("option", { value: "instance" }, "Instance pictures"),
    el("option", { value: "regularization" }, "Regularization pictures"),
  );
  const files = el("input", { type: "file", multiple: true, accept: "image/*,.zip,.txt,.caption,.jfif,.avif", hidden: true, "aria-label": "Files", data: { action: "dataset-files" } });
  const folder = el("input", { type: "file", multiple: true, webkitdirectory: true, hidden: true, "aria-label": "Folder", data: { action: "dataset-folder" } });
  const where = el("p.help");
  const zone = el(
    "div.drop",
    { data: { role: "drop" } },
    el("p", {}, "Drop pictures, folders or a zip here"),
    el("div.row.wrap.middle", {}, button("Choose files…", () => files.click(), { data: { action: "dataset-choose-files" } }), button("Choose a folder…", () => folder.click(), { data: { action: "dataset-choose-folder" } }), el("span.quiet", {}, "into"), target),
    where,
    files,
    folder,
  );
  const bar = el("div.bar", {}, el("div.bar-fill"));
  const words = el("p.progress-facts", { role: "status" });
  const stop = button("Cancel", () => going?.abort(), { kind: "small", data: { action: "dataset-upload-cancel" } });
  const progress = el("div.stack.tight", { hidden: true }, bar, el("div.row", {}, words, el("span.spring"), stop));
  const result = el("div.stack.tight", { "aria-live": "polite", data: { role: "uploaded" } });
  const node = el("section.card", { "aria-label": "Add pictures", data: { section: "add" } }, el("h2.title", {}, "Add pictures"), zone, progress, result);
  let going = null;

  const path = () => panel.path(target.value);

  function follow() {
    const into = String(app.draft.get(path())).trim();
    where.textContent = into ? `They go into ${into}. Captions (.txt) and masks beside the pictures come along; nothing there is written over.` : "They go into a new folder beside the runs; type a folder above to choose another.";
  }

  function tell({ sent, total, file, files: all, name }) {
    const share = total ? sent / total : 1;
    bar.firstElementChild.style.width = `${100 * share}%`;
    bar.classList.toggle("sdft-busy", share >= 1);
    words.textContent = share >= 1 ? "Looking at what came …" : `${file} of ${all} · ${megabytes(sent / 2 ** 20)} of ${megabytes(total / 2 ** 20)}${name ? ` · ${name}` : ""}`;
  }

  async function add(chosen) {
    if (!chosen.length) return;
    if (going) return app.say("Pictures are being sent already; wait until they are there.", "bad");
    going = new AbortController();
    progress.hidden = false;
    fill(result);
    const setting = path();
    const named = `${String(app.draft.get(panel.path("name"))).trim() || "pictures"}${target.value === "regularization" ? " regularization" : ""}`;
    try {
      const done = await upload(app, { folder: String(app.draft.get(setting)).trim(), name: named, files: chosen, progress: tell, signal: going.signal });
      told(done);
      if (done.pictures + done.captions + done.same > 0) app.draft.set(setting, done.folder);
      panel.tell("pictures", { added: done.pictures });
    } catch (error) {
      if (error.name === "AbortError") fill(result, el("p.help", {}, "Cancelled: nothing was added."));
      else fill(result, el("p.problem", { role: "alert" }, error.message));
    } finally {
      going = null;
      progress.hidden = true;
    }
  }

  function told(done) {
    const parts = [`${count(done.pictures, "picture", "pictures")} and ${count(done.captions, "caption", "captions")} added to ${done.folder}`];
    if (done.same) parts.push(`${count(done.same, "file was", "files were")} there already`);
    if (done.renamed) parts.push(`${count(done.renamed, "picture", "pictures")} got a number, as another picture has the name`);
    fill(
      result,
      el("p", {}, `${parts.join("; ")}.`),
      done.refused.length > 0 && el("details.fold", { open: done.refused.length < 6 }, el("summary", {}, `Not taken (${done.refused.length})`), el("div.stack.tight", {}, done.refused.map((text) => el("p.advice", {}, text)))),
    );
  }

  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      const chosen = picked(input);
      input.value = "";
      add(chosen);
    });
  }
  zone.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    zone.classList.add("sdft-over");
  });
  zone.addEventListener("dragleave", (event) => {
    if (!zone.contains(event.relatedTarget)) zone.classList.remove("sdft-over");
  });
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("sdft-over");
    const { dataTransfer } = event;
    await app.attempt(async () => add(await dropped(dataTransfer)));
  });
  target.addEventListener("change", follow);
  app.whenDraft(node, follow);
  panel.listen("concept", follow);
  follow();
  return { name: "add", node };
}
