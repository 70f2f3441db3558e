// Asks again and again, while somebody can see the page or something must be known in the background, and never gives up.

import { Schedule } from "./poll_schedule.mjs";

/** How often to ask while nobody can see it (ms). */
const IN_BACKGROUND = 10_000;

/**
 * @typedef {object} PollOptions
 * @property {() => unknown} ask what is called
 * @property {number} every how often (ms)
 * @property {() => boolean} visible whether anybody can see what it is for
 * @property {() => boolean} [background] whether to ask now and then while nobody can see it
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
  constructor({ ask, every, visible, background = () => false, trouble = () => {}, over = () => false }) {
    this.ask = ask;
    this.every = every;
    this.visible = visible;
    this.background = background;
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
    const seen = !document.hidden && this.visible();
    const asked = seen || this.background();
    if (asked) await this.#ask();
    clearTimeout(this.#timer);
    const wait = asked ? this.#schedule.wait(this.every) : this.every;
    this.#timer = setTimeout(() => this.#turn(), asked && !seen ? Math.max(wait, IN_BACKGROUND) : wait);
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
