// The report that is shown: its address, and files that are removed from the dataset and put back.

import { part } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { DatasetPanel, DatasetReport, ReportRemoval } from "./types.d.ts" */

/** @typedef {{ files: number[] } | { finding: number } | { exact: true }} Selection which files: numbers, those of a finding, or exact duplicates */
/** @typedef {(numbers: number[], gone: boolean) => unknown} FileWatcher gets the files that were removed or put back */

export class OpenReport {
  /** @type {string | null} */
  id = null;
  /** Null until it is finished. @type {DatasetReport | null} */
  data = null;
  /** Files that were removed since it was made. @type {Set<number>} */
  gone = new Set();
  /** Says what was removed last, with the way back. */
  notice = el("div.notice", { hidden: true });
  /** @type {FileWatcher[]} */
  #watchers = [];

  /** @param {App} app @param {DatasetPanel} panel */
  constructor(app, panel) {
    this.app = app;
    this.panel = panel;
  }

  /** Gives the route of something about this report. @param {string} what */
  path(what) {
    return `datasets/report/${part(this.id ?? "")}/${what}`;
  }

  /** Forgets who watches files: the report is drawn anew. */
  forgetWatchers() {
    this.#watchers = [];
  }

  /** @param {FileWatcher} act */
  watch(act) {
    this.#watchers.push(act);
  }

  /** Moves files to the trash. Returns the removals. @param {Selection} selection @param {HTMLButtonElement | null} pressed */
  async remove(selection, pressed = null) {
    /** @type {ReportRemoval[]} */
    let removals = [];
    await this.app.attempt(async () => {
      /** @type {{ removed: ReportRemoval[] }} */
      const { removed } = await this.app.api.post(this.path("remove"), selection);
      removals = removed;
      if (removed.some((one) => one.files.length)) this.#showRemoved(removed);
    }, pressed);
    return removals;
  }

  /** Puts files back. Returns whether that worked. @param {ReportRemoval[]} removals @param {HTMLButtonElement | null} pressed */
  async restore(removals, pressed = null) {
    const done = await this.app.attempt(async () => {
      for (const { folder, id, files } of removals) {
        await this.app.api.post("datasets/restore", { folder, id });
        for (const number of files) this.gone.delete(number);
        for (const act of this.#watchers) act(files, false);
      }
    }, pressed);
    this.panel.notify("pictures", { from: "report" });
    return done;
  }

  /** @param {ReportRemoval[]} removals */
  #showRemoved(removals) {
    const files = removals.flatMap((one) => one.files);
    const undo = async () => {
      if (await this.restore(removals, back)) this.notice.hidden = true;
    };
    const back = button("Undo", undo, { kind: "small", data: { action: "dataset-undo" } });
    const sentence = `${count(files.length, "file was", "files were")} moved to the dataset's trash, with caption and mask.`;
    fill(this.notice, el("span", {}, sentence), back);
    this.notice.hidden = false;
    for (const number of files) this.gone.add(number);
    for (const act of this.#watchers) act(files, true);
    this.panel.notify("pictures", { from: "report" });
  }
}
