// The Evaluate panel: the saves of a run, into txt2img and the X/Y/Z plot, or tried out here where there is no WebUI.

import { part } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { showReport } from "../shared/report_dialog.mjs";
import { runMenu } from "../shared/run_widgets.mjs";
import { verdictNode } from "../shared/verdict.mjs";
import { MeasureSection } from "./measure.mjs";
import { PictureLossTable } from "./picture_losses.mjs";
import { RatingsSection } from "./ratings.mjs";
import { BASE, spreadSaves } from "./saves.mjs";
import { SavesTable } from "./saves_table.mjs";
import { tryoutSection } from "./tryout.mjs";
import { WordGridSection } from "./word_grid.mjs";
import { xyzSection } from "./xyz.mjs";

/** @import { App, RunDetail, Save } from "../types.d.ts" */

/**
 * @typedef {object} Selection What is compared.
 * @property {string} run
 * @property {RunDetail} detail
 * @property {boolean} base whether the base model is compared too
 * @property {Save[]} saves
 */

/** @param {App} app */
export function evaluatePanel(app) {
  return new EvaluatePanel(app);
}

class EvaluatePanel {
  #app;
  #menu;
  #table = el("div.stack");
  #tools = el("div.stack");
  #pictures;
  #ratings;
  #words;
  #measure;
  #none = el("p.quiet", {}, "No run has saves yet.");
  #report = button("Report", () => this.#run !== null && showReport(this.#app, this.#run), { hidden: true, data: { action: "report" } });
  #about;
  /** The chosen run's pictures and what can be done with them; hidden while the run is loaded, so that no click goes to another one. */
  #shown = el("div.stack", { hidden: true });
  /** @type {string | null} */
  #run = null;
  /** @type {RunDetail | null} */
  #detail = null;
  /** Steps of the saves to compare, and BASE. @type {Set<string | number>} */
  #chosen = new Set([BASE]);
  /** The step of the save to point at, once it is drawn. @type {number | null} */
  #pointed = null;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#menu = runMenu(
      app,
      "Run",
      (run) => run.saves > 0,
      (id) => this.choose(id),
    );
    const saves = el(
      "section.card",
      { "aria-label": "Saves" },
      el("div.row.wrap", {}, el("h2.title", {}, "Saves of"), this.#menu.node, el("span.spring"), this.#report),
      this.#table,
    );
    this.#pictures = new PictureLossTable(app);
    const rated = () => this.#detail && this.#drawPictures(this.#detail);
    this.#ratings = new RatingsSection(app, rated);
    this.#words = new WordGridSection(app, () => this.#detail && this.#ratings.show(this.#detail));
    this.#measure = new MeasureSection(app, () => this.#load());
    fill(this.#shown, this.#measure.node, this.#ratings.node, this.#pictures.node, this.#words.node, this.#tools);
    this.#about = el("div.stack", { hidden: true }, saves, this.#shown);
    this.node = el("div.stack", {}, this.#none, this.#about);
    app.whenRuns(this.node, () => this.#follow());
    this.#follow();
  }

  /**
   * Shows a run, and points at the save of a step.
   * @param {string} id
   * @param {number} [step]
   */
  choose(id, step = undefined) {
    this.#pointed = step ?? null;
    if (id === this.#run && this.#detail) {
      this.#point();
      return;
    }
    this.#run = id;
    this.#forget();
    this.#follow();
    this.#load();
  }

  /** Hides the former run until the chosen one is loaded. */
  #forget() {
    this.#detail = null;
    this.#shown.hidden = true;
    this.#report.hidden = true;
    fill(this.#table);
  }

  async #load() {
    const id = this.#run;
    if (id === null) return;
    await this.#app.attempt(async () => {
      /** @type {RunDetail} */
      const found = await this.#app.api.get(`runs/${part(id)}`);
      if (id !== this.#run) return;
      const before = this.#detail;
      this.#detail = found;
      if (before?.id !== found.id) this.#chosen = new Set([BASE, ...spreadSaves(found.saves).map(({ step }) => step)]);
      this.#report.hidden = !found.report;
      if (before?.id !== found.id || shownOf(before) !== shownOf(found)) this.#draw(id, found);
    });
  }

  /**
   * @param {string} run
   * @param {RunDetail} detail
   */
  #draw(run, detail) {
    const chosen = this.#chosen;
    /** @returns {Selection} */
    const selection = () => ({ run, detail, base: chosen.has(BASE), saves: detail.saves.filter(({ step }) => chosen.has(step)) });
    const changed = () => Promise.all([this.#load(), this.#app.refresh()]);
    this.#shown.hidden = false;
    this.#drawPictures(detail);
    fill(this.#table, verdictNode(this.#app, detail), new SavesTable(this.#app, run, detail, chosen, changed, () => this.#drawPictures(detail)).node);
    fill(
      this.#tools,
      this.#app.can("xyz") && xyzSection(this.#app, selection),
      this.#app.can("tryout") && tryoutSection(this.#app, selection),
    );
    this.#point();
  }

  /** Shows what is known of single pictures. @param {RunDetail} detail */
  #drawPictures(detail) {
    this.#ratings.show(detail);
    this.#pictures.show(detail.id);
    this.#words.show(detail);
    this.#measure.show(detail);
  }

  /** Points at the save that somebody was led to. */
  #point() {
    const box = this.#pointed === null ? null : this.#table.querySelector(`[data-save="${this.#pointed}"]`);
    const row = box?.closest("tr");
    if (!(box instanceof HTMLElement) || !row) return;
    this.#pointed = null;
    this.#app.point(row, box);
  }

  /** Follows the list of runs: a run with saves is shown, and new saves of it. */
  #follow() {
    const runs = this.#app.runs.runs.filter(({ saves }) => saves > 0);
    this.#none.hidden = runs.length > 0;
    this.#about.hidden = runs.length === 0;
    if (!runs.some(({ id }) => id === this.#run)) {
      this.#run = null;
      this.#forget();
    }
    const visible = !this.node.parentElement?.hidden;
    const current = runs.find(({ id }) => id === this.#run);
    if (!current && runs.length) {
      this.#run = runs[0].id;
      if (visible) this.#load();
    } else if (current && this.#detail && current.saves !== this.#detail.saves.length && visible) this.#load();
    this.#menu.draw(this.#run);
  }

  shown() {
    this.#follow();
    if (this.#run && !this.#detail) this.#load();
    else if (this.#detail) this.#drawPictures(this.#detail);
  }
}

/** Names what the panel shows of a run: its saves, deleted ones and control pictures. @param {RunDetail} detail */
function shownOf({ saves, deleted, controls }) {
  return JSON.stringify([saves.map(({ name, step }) => [name, step]), deleted, controls]);
}
