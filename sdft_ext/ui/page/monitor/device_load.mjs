// How busy the GPU is while a run trains here. Where the server doesn't know, nothing is shown.

import { el } from "../shared/dom.mjs";
import { loadText } from "./run_text.mjs";

/** @import { App, DeviceLoad } from "../types.d.ts" */

/** Milliseconds between two questions, and after an answer that the server doesn't know. */
const EVERY = 2000;
const SELDOM = 60_000;

export class DeviceLoadText {
  #app;
  /** When to ask next (ms). */
  #next = 0;
  node = el("p.progress-facts", { hidden: true, data: { role: "device" } });

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
  }

  /** Asks, where that is due, and shows the answer. @param {boolean} trains whether the run that is shown trains here */
  async follow(trains) {
    if (!trains) {
      this.node.hidden = true;
      return;
    }
    if (Date.now() < this.#next) return;
    /** @type {{ device: DeviceLoad | null }} */
    const { device } = await this.#app.api.get("device");
    this.#next = Date.now() + (device ? EVERY : SELDOM);
    this.node.hidden = device === null;
    if (device) this.node.textContent = loadText(device);
  }
}
