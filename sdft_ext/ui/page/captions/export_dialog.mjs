// Exports captions for other programs: as a download, or into a folder.

import { sentenceOf } from "../shared/api.mjs";
import { dialog } from "../shared/dialog.mjs";
import { button, el, freshId } from "../shared/dom.mjs";
import { chooseFolder } from "../shared/folders.mjs";
import { count, thousands } from "../shared/numbers.mjs";
import { FORMATS, inOneFile, mediaType, menu } from "./exchange_formats.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { Download, Say, Target, WrittenFiles } from "./types.d.ts" */

/**
 * @param {App} app
 * @param {CaptionStore} store
 * @param {Say} say
 */
export function exportCaptions(app, store, say) {
  return dialog(app, "Export captions", (close) => new ExportDialog(app, store, say, close).node);
}

class ExportDialog {
  #store;
  #say;
  #close;
  #format = menu("Format", FORMATS, "export-format");
  #target;
  #folder = el("input.input", { type: "text", id: freshId("sdft-to"), spellcheck: "false", data: { action: "export-to" } });
  #help = el("p.help", { data: { role: "export-help" } });
  #replace = el("input", { type: "checkbox", data: { action: "export-replace" } });
  #summary = el("p.advice", { role: "status" });
  #problem = el("p.problem", { role: "alert", hidden: true });
  #apply = button("Export", () => this.#export(), { kind: "primary", data: { action: "export-apply" } });

  /**
   * @param {App} app
   * @param {CaptionStore} store
   * @param {Say} say
   * @param {(exported?: boolean) => void} close
   */
  constructor(app, store, say, close) {
    this.#store = store;
    this.#say = say;
    this.#close = close;
    const { order, shown, selected } = store;
    /** @type {[string, string][]} */
    const targets = [
      ["all", `All ${thousands(order.length)}`],
      ["shown", `Shown ${thousands(shown.length)}`],
    ];
    if (selected.size) targets.push(["selected", `Selected ${thousands(selected.size)}`]);
    this.#target = menu("Captions", targets, "export-which");
    const browse = async () => {
      const chosen = await chooseFolder(app, this.#folder.value || store.folder, "Export captions");
      if (chosen !== null) this.#folder.value = chosen;
      this.#follow();
    };
    this.#format.input.addEventListener("change", () => this.#follow());
    this.#folder.addEventListener("input", () => this.#follow());
    this.#follow();
    this.node = el(
      "div.stack",
      {},
      this.#format.node,
      this.#target.node,
      el(
        "div.field",
        {},
        el("label.label", { htmlFor: this.#folder.id }, "Folder"),
        el("div.row.together", {}, this.#folder, button("Browse…", browse, { "aria-label": "Browse for a folder" })),
        this.#help,
      ),
      el("label.check", {}, this.#replace, el("span", {}, "Overwrite files with different content")),
      this.#summary,
      this.#problem,
      el(
        "div.row.end",
        {},
        button("Cancel", () => close()),
        this.#apply,
      ),
    );
  }

  #follow() {
    const one = inOneFile(this.#format.input.value);
    const folder = this.#folder.value.trim();
    this.#help.textContent = one ? "Without a folder, the file is downloaded." : "One file per picture is written to this folder.";
    this.#apply.disabled = !one && !folder;
    this.#apply.textContent = one && !folder ? "Download" : "Export";
  }

  async #export() {
    this.#apply.disabled = true;
    const target = this.#target.input.value;
    const ids = target === "all" ? {} : { ids: this.#store.ids(/** @type {Target} */ (target)) };
    const format = this.#format.input.value;
    const to = this.#folder.value.trim();
    try {
      /** @type {Download | WrittenFiles} */
      const found = await this.#store.ask("export", { ...ids, format, to, replace: this.#replace.checked });
      this.#problem.hidden = true;
      if ("content" in found) {
        download(found.name, found.content, mediaType(format));
        this.#end(`${count(found.count, "caption", "captions")} exported to ${found.name}.`, found.notes);
      } else this.#tellWritten(found, to);
    } catch (error) {
      this.#problem.textContent = sentenceOf(error);
      this.#problem.hidden = false;
    }
    this.#apply.disabled = false;
  }

  /**
   * Says what was written into a folder; the window stays open where files were left as they are.
   * @param {WrittenFiles} found
   * @param {string} to
   */
  #tellWritten({ written, left, notes }, to) {
    const files = count(written, "file", "files");
    if (!left.length) return this.#end(`${files} written to ${to}.`, notes);
    const kept = `${count(left.length, "file has", "files have")} different content and ${left.length === 1 ? "was" : "were"} not overwritten`;
    this.#summary.textContent = [`${files} written. ${kept}: ${left.slice(0, 3).join(", ")}.`, ...notes].join(" ");
  }

  /**
   * @param {string} text
   * @param {string[]} notes
   */
  #end(text, notes) {
    this.#close(true);
    this.#say([text, ...notes].join(" "));
  }
}

/**
 * @param {string} name
 * @param {string} content
 * @param {string} type
 */
function download(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
