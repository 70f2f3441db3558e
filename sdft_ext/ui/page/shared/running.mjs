// The sign of a running training: in the header of every panel, and in the title and the icon of the browser's tab.

import { button } from "./dom.mjs";
import { duration } from "./numbers.mjs";
import { active, STATES } from "./run_widgets.mjs";
import { TabIcon } from "./tab_icon.mjs";

/** @import { App, Run, Runs } from "../types.d.ts" */

/** What this page has put in front of the title. */
const MARK = /^(?:\d+ %|Preparing|Paused|Finished|Failed) · /;

/** Finds the run that trains now. @param {Runs} runs @returns {Run | undefined} */
export function currentRun({ runs, current }) {
  return runs.find(({ id, state }) => id === current && active({ state }));
}

/**
 * Says how far a run is: short, for a title, and with the time left.
 * @param {Pick<Run, "name" | "state" | "step" | "total" | "seconds_left">} run
 * @returns {{ short: string, text: string }}
 */
export function progressOf({ name, state, step, total, seconds_left: left }) {
  const training = state === "training" || state === "drawing";
  const short = training && total ? `${Math.floor((100 * step) / total)} %` : (STATES[state] ?? state);
  return { short, text: [name, short, state === "training" && left ? `${duration(left)} left` : ""].filter(Boolean).join(" · ") };
}

/** Puts a mark in front of a title, in place of the one before; empty removes it. @param {string} title @param {string} mark */
export function markedTitle(title, mark) {
  const plain = title.replace(MARK, "");
  return mark ? `${mark} · ${plain}` : plain;
}

export class RunningSign {
  #app;
  #run = "";
  #icon = new TabIcon();
  node = button("Monitor", () => this.#app.showRun(this.#run), { kind: "running", hidden: true, title: "Open the Monitor", data: { action: "running" } });

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    // What ended meanwhile has been seen then.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden || this.#run) return;
      this.#mark("");
      this.#icon.show(undefined);
    });
  }

  /** Shows what runs now; returns the run that has just ended by itself, if any. @param {Runs} runs */
  show(runs) {
    const now = currentRun(runs);
    const ended = this.#run && now?.id !== this.#run ? runs.runs.find(({ id, state }) => id === this.#run && (state === "finished" || state === "failed")) : undefined;
    this.#run = now?.id ?? "";
    this.node.hidden = !now;
    if (now) {
      const { short, text } = progressOf(now);
      this.node.textContent = text;
      this.#mark(short);
      this.#icon.show(now);
    } else if (ended || !document.hidden) {
      this.#mark(ended && document.hidden ? STATES[ended.state] : "");
      this.#icon.show(document.hidden ? ended : undefined);
    }
    return ended;
  }

  /** @param {string} mark */
  #mark(mark) {
    const title = markedTitle(document.title, mark);
    if (document.title !== title) document.title = title;
  }
}
