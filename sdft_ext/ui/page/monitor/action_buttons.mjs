// The buttons of what can be done with a run; they stay the same elements as long as the same can be done.

import { part } from "../shared/api.mjs";
import { continueFrom, continueSetting } from "../shared/continue.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { showReport } from "../shared/report_dialog.mjs";
import { wholeModel } from "../shared/run_widgets.mjs";
import { recommendedSave } from "../shared/verdict.mjs";
import { runActions } from "./run_actions.mjs";

/** @import { App, RunDetail, Status } from "../types.d.ts" */
/** @import { RunAction } from "./run_actions.mjs" */

export class ActionButtons {
  #app;
  #asked;
  #run = "";
  /** @type {RunDetail | null} */
  #detail = null;
  /** The run and the actions that are shown. */
  #shown = "";
  /** The button that was pressed with the keyboard, which goes when something else can be done. @type {HTMLButtonElement | null} */
  #pressed = null;
  node = el("div.row.wrap");

  /**
   * `asked()` is called when something was asked of the run.
   * @param {App} app
   * @param {() => void} asked
   */
  constructor(app, asked) {
    this.#app = app;
    this.#asked = asked;
  }

  clear() {
    this.#shown = "";
    fill(this.node);
  }

  /**
   * Shows what can be done now.
   * @param {string} run
   * @param {Status} status
   * @param {RunDetail | null} detail
   */
  draw(run, status, detail) {
    this.#run = run;
    this.#detail = detail;
    const actions = runActions(status, {
      txt2img: this.#app.can("txt2img"),
      whole: detail && wholeModel(this.#app.schema, detail.recipe.method),
      saves: detail?.saves.length ?? 0,
      continues: detail !== null && continueSetting(this.#app.schema, detail.recipe.method.name) !== undefined,
      report: Boolean(detail?.report),
      grid: detail !== null && !detail.grid && hasPrompts(detail.recipe.watch),
    });
    const names = [run, ...actions.map(({ name, label }) => `${name} ${label}`)].join(" ");
    if (this.#shown === names) return;
    this.#shown = names;
    const active = document.activeElement;
    const keeps = this.node.contains(active) || (active === document.body && this.#pressed?.isConnected);
    fill(
      this.node,
      actions.map((action) => this.#button(action)),
    );
    if (keeps) this.node.querySelector("button")?.focus({ preventScroll: true });
    this.#pressed = null;
  }

  /** @param {RunAction} action */
  #button({ name, label, kind = "plain", done }) {
    const pressed = button(label, () => this.#act(name, done, pressed), { kind, data: { action: name } });
    return pressed;
  }

  /**
   * @param {string} name
   * @param {string | undefined} done
   * @param {HTMLButtonElement} pressed
   */
  async #act(name, done, pressed) {
    const run = this.#run;
    if (document.activeElement === pressed) this.#pressed = pressed;
    if (name === "evaluate") return this.#app.evaluate(run);
    if (name === "resume-with") return this.resumeWith(run);
    if (name === "report") return showReport(this.#app, run);
    if (name === "try") return this.#app.attempt(() => this.#try(run), pressed);
    if (name === "continue") return this.#app.attempt(() => this.#continue(run), pressed);
    if (name === "use" || name === "send") return this.#app.attempt(() => this.#use(run, name), pressed);
    const worked = await this.#app.attempt(() => this.#app.api.post(`runs/${part(run)}/${name}`), pressed);
    if (worked && done) this.#app.say(done);
    this.#asked();
  }

  /**
   * Resumes a run with other settings, if its user changes some.
   * @param {string} run
   * @param {string[]} [first] settings to show first
   */
  async resumeWith(run, first) {
    const { resumeWith } = await import("../shared/resume_dialog.mjs");
    if (await resumeWith(this.#app, run, first)) this.#asked();
  }

  /** @param {string} run */
  async #try(run) {
    const { tryNow } = await import("../shared/webui.mjs");
    await tryNow(this.#app, run);
  }

  /** @param {string} run */
  async #continue(run) {
    const save = this.#detail?.saves.at(-1);
    if (save) await continueFrom(this.#app, run, save);
  }

  /**
   * Takes the recommended save to txt2img, or the last one.
   * @param {string} run
   * @param {"use" | "send"} how as the checkpoint, or in the prompt
   */
  async #use(run, how) {
    const save = this.#detail && (recommendedSave(this.#detail) ?? this.#detail.saves.at(-1));
    if (!save) return;
    const { sendSave, useCheckpoint } = await import("../shared/webui.mjs");
    await (how === "use" ? useCheckpoint : sendSave)(this.#app, run, save);
  }
}

/** Whether a run draws control pictures. @param {{ concept_prompts: string[], bleeding_prompts: string[] }} watch the recipe's */
function hasPrompts({ concept_prompts, bleeding_prompts }) {
  return concept_prompts.length + bleeding_prompts.length > 0;
}
