// The preparation that runs on the server: how far it is, and what came of it.

import { button, el, fill } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { progressBar } from "../shared/run_widgets.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { PreparationStatus } from "./types.d.ts" */

/** Milliseconds between two questions about its progress. */
const EVERY = 700;

/**
 * @typedef {object} ProgressOptions
 * @property {() => object} request what is prepared
 * @property {() => boolean} visible
 * @property {() => void} changed called when it may have begun or ended
 * @property {() => void} ended called when one that was seen working has ended
 * @property {(out: string) => (() => void) | null} use returns what uses the results for the concept, or null
 */

export class PreparationProgress {
  #app;
  #options;
  #cancel = button("Cancel", () => this.#app.attempt(() => this.#app.api.post("preparation/cancel"), this.#cancel), {
    data: { action: "prepare-cancel" },
    hidden: true,
  });
  #bar = progressBar("Preparing");
  #facts = el("p.progress-facts", { hidden: true });
  #result = el("div.stack.tight", { "aria-live": "polite", data: { role: "preparation-result" } });
  #poll;
  /** Whether the server has said that nothing is being prepared. */
  #idle = false;
  working = false;

  /**
   * @param {App} app
   * @param {ProgressOptions} options
   */
  constructor(app, options) {
    this.#app = app;
    this.#options = options;
    this.#bar.node.hidden = true;
    this.nodes = [this.#bar.node, this.#facts, this.#result];
    this.#poll = new Poll({
      ask: async () => this.#show(await app.api.get("preparation")),
      every: EVERY,
      visible: options.visible,
      over: () => app.over || this.#idle,
    });
  }

  get cancelButton() {
    return this.#cancel;
  }

  /** Asks the server whether something is being prepared. */
  look() {
    this.#idle = false;
    this.#poll.now();
  }

  /**
   * Begins a preparation.
   * @param {HTMLButtonElement} pressed disabled meanwhile
   */
  async begin(pressed) {
    fill(this.#result);
    await this.#app.attempt(async () => {
      /** @type {PreparationStatus} */
      const status = await this.#app.api.post("preparation", this.#options.request());
      this.working = true; // a few pictures may be done already
      this.#show(status);
      this.#poll.now();
    }, pressed);
    this.#options.changed();
  }

  /** @param {PreparationStatus} status */
  #show(status) {
    const { state, done, total, out } = status;
    const ended = this.working && state !== "preparing";
    this.working = state === "preparing";
    this.#idle = !this.working;
    this.#bar.node.hidden = this.#facts.hidden = this.#cancel.hidden = !this.working;
    if (this.working) {
      this.#bar.set(done, total);
      this.#facts.textContent = `${thousands(done)} of ${thousands(total)} written to ${out}`;
    } else if (ended) fill(this.#result, this.#ending(status));
    this.#options.changed();
    if (ended) this.#options.ended();
  }

  /** @param {PreparationStatus} status */
  #ending(status) {
    if (status.state === "failed") return [el("p.problem", { role: "alert" }, status.message)];
    const use = this.#options.use(status.out);
    return [
      el(
        "div.notice.good",
        {},
        el("span", {}, outcome(status)),
        use && button("Use these pictures for the concept", use, { kind: "small", data: { action: "preparation-use" } }),
      ),
      ...status.problems.map((text) => el("p.advice", {}, text)),
    ];
  }
}

/**
 * Says what a preparation has written.
 * @param {Pick<PreparationStatus, "state" | "written" | "skipped" | "out">} status
 */
export function outcome({ state, written, skipped, out }) {
  const start = state === "cancelled" ? "Cancelled; prepare again to continue from here." : "Done.";
  const there = skipped ? `; ${thousands(skipped)} ${skipped === 1 ? "was" : "were"} there already` : "";
  return `${start} ${count(written, "picture", "pictures")} written to ${out}${there}.`;
}
