// Imports captions from files of other programs: what would change is shown first.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { dialog } from "../shared/dialog.mjs";
import { button, el, fill, freshId } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";
import { changeNodes } from "./change_list.mjs";
import { FORMATS, inOneFile, menu } from "./exchange_formats.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { CaptionRequest, ImportPreview, Say } from "./types.d.ts" */

/** @type {[string, string][]} */
const HOW = [
  ["replace", "Replace them"],
  ["empty", "Only where there is no caption"],
  ["append", "Add at the end"],
  ["prepend", "Add in front"],
];
/** As many changed captions are shown. */
const SHOWN = 12;

/**
 * @param {App} app
 * @param {CaptionStore} store
 * @param {Say} say
 */
export function importCaptions(app, store, say) {
  return dialog(app, "Import captions", (close) => new ImportDialog(store, say, close).node, { wide: true });
}

class ImportDialog {
  #store;
  #say;
  #close;
  #format = menu("Format", FORMATS, "import-format");
  #how = menu("Existing captions", HOW, "import-how");
  #file = el("input.input", { type: "file", id: freshId("sdft-file"), data: { action: "import-file" } });
  #source = el(
    "div.field",
    {},
    el("label.label", { htmlFor: this.#file.id }, "File"),
    this.#file,
    el("p.help", {}, "If you choose none, the file with this name in the folder is read."),
  );
  #summary = el("p.help", { role: "status", data: { role: "import-preview" } });
  #changes = el("div.cap-changes");
  #problem = el("p.problem", { role: "alert", hidden: true });
  #apply = button("Import", () => this.#import(), { kind: "primary", disabled: true, data: { action: "import-apply" } });
  #content = "";
  /** @type {AbortController | null} */
  #request = null;
  /** What was previewed. @type {CaptionRequest} */
  #ready = {};

  /**
   * @param {CaptionStore} store
   * @param {Say} say
   * @param {(imported?: boolean) => void} close
   */
  constructor(store, say, close) {
    this.#store = store;
    this.#say = say;
    this.#close = close;
    this.#file.addEventListener("change", async () => {
      this.#content = (await this.#file.files?.item(0)?.text()) ?? "";
      this.#preview();
    });
    for (const { input } of [this.#format, this.#how]) input.addEventListener("change", () => this.#preview());
    const end = el(
      "div.row.end",
      {},
      button("Cancel", () => close()),
      this.#apply,
    );
    this.node = el("div.stack", {}, this.#format.node, this.#source, this.#how.node, this.#summary, this.#problem, this.#changes, end);
    this.#preview();
  }

  async #preview() {
    this.#request?.abort();
    const { signal } = (this.#request = new AbortController());
    const format = this.#format.input.value;
    this.#apply.disabled = true;
    this.#source.hidden = !inOneFile(format);
    try {
      const body = { format, content: this.#source.hidden ? "" : this.#content, how: this.#how.input.value };
      /** @type {ImportPreview} */
      const found = await this.#store.ask("import", { ...body, apply: false, most: SHOWN }, signal);
      if (signal.aborted) return;
      this.#problem.hidden = true;
      this.#ready = { ...body, preview: found.preview };
      this.#summary.textContent = `${count(found.count, "caption", "captions")} will change${unmatched(found)}.`;
      fill(
        this.#changes,
        found.notes.map((text) => el("p.advice", {}, text)),
        changeNodes(this.#store, found.shown, found.shown.length),
      );
      this.#apply.disabled = found.count === 0;
    } catch (error) {
      if (aborted(error)) return;
      this.#summary.textContent = "";
      fill(this.#changes);
      this.#fail(error);
    }
  }

  async #import() {
    this.#apply.disabled = true;
    try {
      const found = await this.#store.importCaptions(this.#ready);
      this.#say(`${count(found.count, "caption", "captions")} imported. Press Save to write them to disk.`);
      this.#close(true);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#problem.textContent = sentenceOf(error);
    this.#problem.hidden = false;
  }
}

/** @param {ImportPreview} found */
function unmatched({ unmatched: number, unmatched_names: names }) {
  if (!number) return "";
  return `; ${count(number, "entry matches", "entries match")} no picture (${names.slice(0, 3).join(", ")}${number > 3 ? ", …" : ""})`;
}
