// Adds pictures to a concept: dropped, chosen as files or a folder, or packed in a zip.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { progressBar } from "../shared/run_widgets.mjs";
import { dropped, picked, upload } from "../shared/upload.mjs";
import { destinationText, newFolderName, resultText, uploadFolder, uploadProgress } from "./upload_text.mjs";

/** @import { App, Child } from "../types.d.ts" */
/** @import { NamedFile, Uploaded } from "../shared/upload.mjs" */
/** @import { DatasetPanel, DatasetSection } from "./types.d.ts" */

/** What a file dialog offers. */
const ACCEPT = "image/*,.zip,.txt,.caption,.jfif,.avif";
/** As many refused files are listed unfolded. */
const FEW = 5;

/** @param {App} app @param {DatasetPanel} panel @returns {DatasetSection} */
export function addSection(app, panel) {
  const target = el(
    "select.input.small",
    { "aria-label": "Where the pictures go", data: { action: "dataset-target" } },
    el("option", { value: "instance" }, "Instance pictures"),
    el("option", { value: "regularization" }, "Regularization pictures"),
  );
  const area = uploadArea(app, {
    prefix: "dataset",
    setting: () => panel.path(target.value),
    into: [el("span.quiet", {}, "into"), target],
    added: ({ pictures }) => panel.notify("pictures", { added: pictures }),
  });
  const node = el("section.card", { "aria-label": "Add pictures", data: { section: "add" } }, el("h2.title", {}, "Add pictures"), ...area.nodes);
  target.addEventListener("change", area.follow);
  app.whenDraft(node, area.follow);
  panel.listen("concept", area.follow);
  area.follow();
  return { name: "add", node };
}

/**
 * Makes the area that takes pictures for a folder of a concept, with the progress and the result of sending them.
 * @param {App} app
 * @param {object} options
 * @param {string} options.prefix of the actions' names
 * @param {() => string} options.setting gives the path of the setting that names the folder
 * @param {Child[]} [options.into] the choice of the folder, where there is one
 * @param {(done: Uploaded) => unknown} options.added is called when pictures were added
 */
export function uploadArea(app, { prefix, setting, into = [], added }) {
  const where = el("p.help");
  const zone = dropZone(app, { prefix, into, where, add });
  const progress = progressView(prefix, () => sending?.abort());
  const result = el("div.stack.tight", { "aria-live": "polite", data: { role: prefix === "dataset" ? "uploaded" : `${prefix}-uploaded` } });
  /** @type {AbortController | null} */
  let sending = null;

  function follow() {
    where.textContent = destinationText(uploadFolder(app, setting()));
  }

  /** @param {NamedFile[]} files */
  async function add(files) {
    if (!files.length) return;
    if (sending) {
      app.say("Other pictures are being sent: wait until they have arrived.", "bad");
      return;
    }
    sending = new AbortController();
    progress.node.hidden = false;
    fill(result);
    const path = setting();
    const name = newFolderName(app.draft.text(path.replace(/\w+$/, "name")), path.split(".").at(-1) ?? "");
    try {
      const done = await upload(app, { folder: uploadFolder(app, path), name, files, progress: progress.show, signal: sending.signal });
      fill(result, resultView(done));
      if (done.pictures + done.captions + done.same > 0) app.draft.set(path, done.folder);
      added(done);
    } catch (error) {
      if (aborted(error)) fill(result, el("p.help", {}, "Cancelled: nothing was added."));
      else fill(result, el("p.problem", { role: "alert" }, sentenceOf(error)));
    } finally {
      sending = null;
      progress.node.hidden = true;
    }
  }

  return { nodes: [zone, progress.node, result], follow };
}

/**
 * Makes the area that takes files, and the buttons that choose them.
 * @param {App} app
 * @param {{ prefix: string, into: Child[], where: HTMLElement, add: (files: NamedFile[]) => unknown }} parts
 */
function dropZone(app, { prefix, into, where, add }) {
  const files = el("input", { type: "file", multiple: true, accept: ACCEPT, hidden: true, "aria-label": "Files", data: { action: `${prefix}-files` } });
  const folder = el("input", { type: "file", multiple: true, webkitdirectory: true, hidden: true, "aria-label": "Folder", data: { action: `${prefix}-folder` } });
  const choose = [
    button("Choose files…", () => files.click(), { data: { action: `${prefix}-choose-files` } }),
    button("Choose a folder…", () => folder.click(), { data: { action: `${prefix}-choose-folder` } }),
  ];
  const zone = el(
    "div.drop",
    { data: { role: prefix === "dataset" ? "drop" : `${prefix}-drop` } },
    el("p", {}, "Drop pictures, folders or a zip here"),
    el("div.row.wrap.middle", {}, ...choose, ...into),
    where,
    files,
    folder,
  );
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      const chosen = picked(input);
      input.value = "";
      add(chosen);
    });
  }
  zone.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    zone.classList.add("sdft-over");
  });
  zone.addEventListener("dragleave", (event) => {
    if (!(event.relatedTarget instanceof Node && zone.contains(event.relatedTarget))) zone.classList.remove("sdft-over");
  });
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("sdft-over");
    const { dataTransfer } = event;
    if (dataTransfer) await app.attempt(async () => add(await dropped(dataTransfer)));
  });
  return zone;
}

/** Makes the bar that shows how much is sent. @param {string} prefix @param {() => unknown} cancel */
function progressView(prefix, cancel) {
  const bar = progressBar("Sending");
  const facts = el("p.progress-facts");
  const stop = button("Cancel", cancel, { kind: "small", data: { action: `${prefix}-upload-cancel` } });
  return {
    node: el("div.stack.tight", { hidden: true }, bar.node, el("div.row", {}, facts, el("span.spring"), stop)),
    /** @param {Parameters<typeof uploadProgress>[0]} progress */
    show(progress) {
      const { share, text } = uploadProgress(progress);
      bar.set(share, share < 1 ? 1 : 0, "preparing");
      facts.textContent = text;
    },
  };
}

/** Says what was added, and lists what was refused. @param {Uploaded} done */
function resultView(done) {
  const refused = done.refused.map((text) => el("p.advice", {}, text));
  const fold = el("details.fold", { open: refused.length <= FEW }, el("summary", {}, `Not added (${refused.length})`), el("div.stack.tight", {}, refused));
  return [el("p", {}, resultText(done)), refused.length > 0 && fold];
}
