// Asks again and again, only while somebody can see the page, and never gives up.

const SLOWEST = 30_000;

/**
 * Calls `ask` every `every` milliseconds while `visible()`. After a failure it waits twice as long each time, up to half a
 * minute; `trouble` gets the error, and null once it works again. `now()` asks at once. It ends when `over()`.
 */
export class Poll {
  #timer = 0;
  #wait;
  #busy = false;
  #failed = false;

  constructor({ ask, every, visible, trouble = () => {}, over = () => false }) {
    Object.assign(this, { ask, every, visible, trouble, over });
    this.#wait = every;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.now();
    });
    window.addEventListener("online", () => this.now());
  }

  start() {
    this.now();
    return this;
  }

  now() {
    if (this.#busy) return;
    clearTimeout(this.#timer);
    this.#turn();
  }

  async #turn() {
    if (this.over()) return;
    let wait = this.every;
    if (!document.hidden && this.visible()) {
      this.#busy = true;
      try {
        await this.ask();
        this.#wait = this.every;
        if (this.#failed) this.trouble(null);
        this.#failed = false;
      } catch (error) {
        this.#failed = true;
        this.trouble(error);
        this.#wait = Math.min(this.#wait * 2, SLOWEST);
        wait = this.#wait;
      } finally {
        this.#busy = false;
      }
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#turn(), wait);
  }
}
