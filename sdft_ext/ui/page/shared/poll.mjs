// Asks again and again, only while somebody can see the page, and never gives up.

import { Schedule } from "./poll_schedule.mjs";

/**
 * @typedef {object} PollOptions
 * @property {() => unknown} ask what is called
 * @property {number} every how often (ms)
 * @property {() => boolean} visible whether anybody can see what it is for
 * @property {(error: unknown) => unknown} [trouble] gets the error of a failure, and null once it works again
 * @property {() => boolean} [over] whether to end for good
 */

/** Calls `ask` every `every` milliseconds while `visible()`; after failures at longer intervals. It ends when `over()`. */
export class Poll {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #busy = false;
  #schedule = new Schedule();

  /** @param {PollOptions} options */
  constructor({ ask, every, visible, trouble = () => {}, over = () => false }) {
    this.ask = ask;
    this.every = every;
    this.visible = visible;
    this.trouble = trouble;
    this.over = over;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.now();
    });
    window.addEventListener("online", () => this.now());
  }

  start() {
    this.now();
    return this;
  }

  /** Asks at once, unless a request is under way. */
  now() {
    if (this.#busy) return;
    clearTimeout(this.#timer);
    this.#turn();
  }

  async #turn() {
    if (this.over()) return;
    const asked = !document.hidden && this.visible();
    if (asked) await this.#ask();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#turn(), asked ? this.#schedule.wait(this.every) : this.every);
  }

  async #ask() {
    this.#busy = true;
    try {
      await this.ask();
      if (this.#schedule.succeed()) this.trouble(null);
    } catch (error) {
      this.#schedule.fail(this.every);
      this.trouble(error);
    } finally {
      this.#busy = false;
    }
  }
}
