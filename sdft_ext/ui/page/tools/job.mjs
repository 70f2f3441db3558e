// The tool that works on the server, or the last one: how far it is, and its outcome. A reload of the page loses nothing.

import { button, el, fill } from "../shared/dom.mjs";
import { duration, thousands } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { badge, progressBar } from "../shared/run_widgets.mjs";
import { baseName } from "./files.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { ToolJob } from "./types.d.ts" */

/** Milliseconds between two questions while a tool works, and while none does. */
const OFTEN = 500;
const SELDOM = 5000;

export class JobCard {
  #app;
  #ended;
  #state = el("span");
  #title = el("span.tool-name");
  #stop = button("Stop", () => this.#end(), { kind: "small", hidden: true, data: { action: "tool-stop" } });
  #inspect;
  #use = button("Use in txt2img", () => this.#useResult(), { kind: "small", hidden: true, data: { action: "tool-use" } });
  #bar = progressBar();
  #facts = el("p.progress-facts", { data: { role: "tool-facts" } });
  #message = el("p", { role: "status", data: { role: "tool-message" } });
  #poll;
  #started = false;
  /** @type {ToolJob | null} */
  #job = null;

  /**
   * @param {App} app
   * @param {{ ended: (job: ToolJob) => Promise<void>, inspect: (path: string) => void }} act `ended` is called when a tool that
   * was seen working has ended; `inspect` shows what it made
   */
  constructor(app, { ended, inspect }) {
    this.#app = app;
    this.#ended = ended;
    this.#inspect = button("Inspect", () => this.#job && inspect(this.#job.target), {
      kind: "small",
      hidden: true,
      data: { action: "tool-into" },
    });
    this.node = el(
      "section.card",
      { "aria-label": "Result", hidden: true, data: { section: "tool-job" } },
      el("div.row.wrap", {}, this.#state, this.#title, el("span.spring"), this.#use, this.#inspect, this.#stop),
      this.#bar.node,
      this.#facts,
      this.#message,
    );
    this.#poll = new Poll({
      ask: () => this.#look(),
      every: SELDOM,
      visible: () => app.visible && this.node.parentElement != null && this.node.parentElement.offsetParent !== null,
      over: () => app.over,
    });
  }

  /** Asks at once, and from then on again and again. */
  async now() {
    const job = await this.#look();
    if (this.#started) this.#poll.now();
    else this.#poll.start();
    this.#started = true;
    return job;
  }

  async #look() {
    /** @type {ToolJob} */
    const job = await this.#app.api.get("tools/job");
    const before = this.#job;
    this.#job = job;
    this.#poll.every = job.state === "working" ? OFTEN : SELDOM;
    this.#draw(job);
    if (hasEnded(job, before)) await this.#ended(job);
    return job;
  }

  /** @param {ToolJob} job */
  #draw(job) {
    const { state, label, target, makes, done, total, message } = job;
    const working = state === "working";
    const finished = state === "finished";
    this.node.hidden = state === "idle";
    this.node.dataset.state = state;
    fill(this.#state, badge(state));
    this.#title.textContent = `${label}: ${baseName(target)}`;
    this.#stop.hidden = !working;
    this.#use.hidden = !finished || makes !== "checkpoint" || !this.#app.can("txt2img");
    this.#inspect.hidden = !finished || !/\.safetensors$/.test(target);
    this.#bar.node.hidden = this.#facts.hidden = !working;
    this.#bar.set(done, total, working ? "training" : "");
    this.#facts.textContent = progressText(job);
    this.#message.textContent = message;
    this.#message.className = state === "failed" ? "sdft-problem" : "sdft-tool-told";
  }

  #end() {
    return this.#app.attempt(async () => {
      await this.#app.api.post("tools/stop");
      await this.#look();
    }, this.#stop);
  }

  #useResult() {
    return this.#app.attempt(async () => {
      const { loadCheckpoint, showTab } = await import("../shared/webui.mjs");
      /** @returns {Promise<{ checkpoint: string }>} */
      const request = () => this.#app.api.post("tools/checkpoint");
      if (await loadCheckpoint(this.#app, baseName(this.#job?.target ?? ""), request)) showTab("tab_txt2img");
    }, this.#use);
  }
}

/**
 * Says whether a tool has ended since it was asked about before. A short one may never have been seen working.
 * @param {ToolJob} job
 * @param {ToolJob | null} before
 */
export function hasEnded(job, before) {
  if (!before || job.state === "working") return false;
  return before.began === job.began ? before.state === "working" : job.state !== "idle";
}

/**
 * Says how far a tool is.
 * @param {Pick<ToolJob, "done" | "total" | "seconds_left">} job
 */
export function progressText({ done, total, seconds_left: left }) {
  const parts = total ? `${thousands(done)} of ${thousands(total)} parts` : "Reading the files";
  return left >= 1 ? `${parts} · ${duration(left)} left` : parts;
}
