// Saving, undo and redo, conflicts, import and export, and the selection.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, el } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";
import { settleConflicts } from "./conflicts.mjs";
import { exportCaptions } from "./export_dialog.mjs";
import { importCaptions } from "./import_dialog.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { Autosend } from "./autosend.mjs" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { Say } from "./types.d.ts" */

export class Toolbar {
  #app;
  #store;
  #autosend;
  #say;
  #save = button("Save", () => this.save(), { kind: "primary", disabled: true, title: "Ctrl-S", data: { action: "captions-save" } });
  #undo = button("Undo", () => this.step("undo"), { disabled: true, data: { action: "captions-undo" } });
  #redo = button("Redo", () => this.step("redo"), { disabled: true, data: { action: "captions-redo" } });
  #autosave = el("input", { type: "checkbox", data: { action: "captions-autosave" } });
  #conflicts = button("", () => this.#attempt(() => settleConflicts(this.#app, this.#store)), {
    kind: "danger",
    hidden: true,
    data: { action: "captions-conflicts" },
  });
  #select;
  #import = button("Import…", () => this.#attempt(() => importCaptions(this.#app, this.#store, this.#say)), {
    kind: "small",
    data: { action: "captions-import" },
  });
  #export = button("Export…", () => this.#attempt(() => exportCaptions(this.#app, this.#store, this.#say)), {
    kind: "small",
    data: { action: "captions-export" },
  });

  /**
   * @param {App} app
   * @param {CaptionStore} store
   * @param {Autosend} autosend
   * @param {{ say: Say, selectAll: () => void, message: HTMLElement, view: HTMLElement[] }} parts message: what `say` shows; view: controls at the end of the bar
   */
  constructor(app, store, autosend, { say, selectAll, message, view }) {
    this.#app = app;
    this.#store = store;
    this.#autosend = autosend;
    this.#say = say;
    this.#select = button("Select all shown", selectAll, { kind: "small", data: { action: "captions-select" } });
    this.#autosave.addEventListener("change", () => this.#switchAutosave());
    this.node = el(
      "div.cap-bar",
      {},
      this.#save,
      this.#undo,
      this.#redo,
      el("label.check", { title: "Saves every change at once" }, this.#autosave, el("span", {}, "Autosave")),
      this.#conflicts,
      message,
      el("span.spring"),
      this.#select,
      this.#import,
      this.#export,
      view,
    );
    this.draw();
  }

  /** Shows what can be done now. */
  draw() {
    const { history, opened, unsent } = this.#store;
    const closed = opened === null;
    const { unsaved, conflicts } = history;
    this.#save.disabled = closed || (!unsaved && !unsent.size);
    this.#save.textContent = unsaved ? `Save ${thousands(unsaved)}` : "Save";
    this.#save.setAttribute("aria-label", unsaved ? `Save ${count(unsaved, "caption", "captions")}` : "Save");
    this.#undo.disabled = closed || !history.undo;
    this.#redo.disabled = closed || !history.redo;
    this.#undo.title = history.undo ? `Undo: ${history.undo} (Ctrl-Z)` : "";
    this.#redo.title = history.redo ? `Redo: ${history.redo} (Ctrl-Y)` : "";
    for (const one of [this.#undo, this.#redo]) one.setAttribute("aria-label", one.title || (one.textContent ?? ""));
    this.#autosave.checked = history.autosave;
    this.#autosave.disabled = closed || !history.writable;
    this.#conflicts.hidden = !conflicts;
    this.#conflicts.textContent = `${count(conflicts, "caption", "captions")} changed on disk …`;
    for (const one of [this.#import, this.#export]) one.disabled = closed;
  }

  /** Shows what the selection's button does. */
  drawSelection() {
    const { size } = this.#store.selected;
    this.#select.textContent = size ? `Deselect ${thousands(size)}` : "Select all shown";
  }

  /**
   * Does something that may fail; its sentence is shown. A control is disabled meanwhile.
   * @param {() => unknown} act
   * @param {HTMLButtonElement | HTMLInputElement | null} control
   */
  async #attempt(act, control = null) {
    if (control) control.disabled = true;
    try {
      await act();
    } catch (error) {
      if (!aborted(error)) this.#say(sentenceOf(error), "bad");
    } finally {
      if (control) control.disabled = false;
      this.draw();
    }
  }

  /** Saves all captions. */
  save() {
    return this.#attempt(async () => {
      if (this.#store.opened === null || !(await this.#autosend.sendAll())) return;
      const found = await this.#store.save();
      const failed = found.failed.map(({ text }) => text);
      const saved = found.saved ? `${count(found.saved, "caption", "captions")} saved.` : "Everything is saved.";
      if (failed.length) this.#say(failed.slice(0, 3).join(" "), "bad");
      else this.#say([saved, ...found.notes].join(" "));
      if (found.conflicts.length) await settleConflicts(this.#app, this.#store);
    }, this.#save);
  }

  /**
   * Undoes the last edit, or redoes what was undone.
   * @param {"undo" | "redo"} way
   */
  step(way) {
    return this.#attempt(
      async () => {
        if (this.#store.opened === null || !(await this.#autosend.sendAll())) return;
        if (!this.#store.history[way]) return this.#say(way === "undo" ? "There is nothing to undo." : "There is nothing to redo.");
        const found = await this.#store.step(way);
        this.#say([`${way === "undo" ? "Undone" : "Redone"}: ${found.done}.`, ...found.notes].join(" "));
      },
      way === "undo" ? this.#undo : this.#redo,
    );
  }

  async #switchAutosave() {
    await this.#attempt(() => this.#store.autosave(this.#autosave.checked), this.#autosave);
    // What was changed before is saved too: from now on the files are as the page shows them.
    const { history } = this.#store;
    if (history.autosave && history.unsaved) this.save();
  }
}
