// Measure: more control pictures of a run that has ended, for narrower intervals of its numbers.

import { part } from "../shared/api.mjs";
import { button, el } from "../shared/dom.mjs";
import { active } from "../shared/run_widgets.mjs";

/** @import { App, RunDetail } from "../types.d.ts" */

const HELP = "Draws more control pictures with the base model and with each save, and judges the saves again by all of them: the numbers become more certain. Twice as many pictures take about as long again as those that the run has drawn for its saves. You can stop it; pressed again with the same number, it goes on there.";

/** How the message of a run begins that is being measured. */
const DRAWN = "More control pictures";
/** Most control pictures of each set. */
const MOST = 1000;

export class MeasureSection {
  #app;
  #changed;
  #number = el("input.input.number", { type: "number", min: 1, max: MOST, step: 1, "aria-label": "Control pictures of each set", data: { action: "measure-pictures" } });
  #measure = button("Measure", () => this.#start(), { data: { action: "measure" } });
  #stop = button("Stop", () => this.#end(), { kind: "small", hidden: true, data: { action: "stop-measure" } });
  #state = el("p.help", { role: "status", hidden: true });
  /** @type {RunDetail | null} */
  #detail = null;
  /** Whether the run is being measured, by the list of runs. */
  #measuring = false;

  /** @param {App} app @param {() => unknown} changed called when the run has been measured */
  constructor(app, changed) {
    this.#app = app;
    this.#changed = changed;
    this.node = el(
      "section.card",
      { "aria-label": "Measure", data: { role: "measure" } },
      el("div.row.wrap", {}, el("h2.title", {}, "Measure"), el("span.spring"), el("label.row", {}, "Control pictures of each set", this.#number), this.#stop, this.#measure),
      el("p.help", {}, HELP),
      this.#state,
    );
    app.whenRuns(this.node, () => this.#follow());
  }

  /** @param {RunDetail} detail */
  show(detail) {
    const before = this.#detail;
    this.#detail = detail;
    this.node.hidden = detail.controls.prompts.length === 0;
    const pictures = Number(detail.recipe.watch.pictures);
    if (before?.id !== detail.id) this.#say("");
    if (before?.id !== detail.id || before.recipe.watch.pictures !== pictures) this.#number.value = String(Math.min(2 * pictures, MOST));
    this.#follow();
  }

  /** Follows the list of runs: shows how far the pictures are. */
  #follow() {
    const run = this.#app.runs.runs.find(({ id }) => id === this.#detail?.id);
    const busy = run !== undefined && (active(run) || run.state === "waiting");
    const drawing = run !== undefined && run.state === "drawing" && run.message.startsWith(DRAWN);
    const measuring = drawing || (this.#measuring && busy);
    const ended = this.#measuring && !measuring;
    this.#measuring = measuring;
    this.#measure.disabled = busy;
    this.#stop.hidden = !drawing;
    if (drawing || ended) this.#say(run?.message ?? "");
    else if (busy) this.#say(run.state === "waiting" ? "In the queue." : "The run hasn't ended yet.");
    if (ended) this.#changed();
  }

  /** @param {string} text */
  #say(text) {
    this.#state.textContent = text;
    this.#state.hidden = !text;
  }

  #start() {
    return this.#app.attempt(async () => {
      await this.#app.api.post(`runs/${part(this.#detail?.id ?? "")}/measure`, { pictures: Number(this.#number.value) });
      this.#measuring = true;
      this.#say("");
      await this.#app.refresh();
    }, this.#measure);
  }

  #end() {
    return this.#app.attempt(async () => {
      await this.#app.api.post(`runs/${part(this.#detail?.id ?? "")}/stop`);
      await this.#app.refresh();
    }, this.#stop);
  }
}
