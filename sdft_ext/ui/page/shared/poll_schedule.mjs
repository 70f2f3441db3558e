// When to ask again: evenly while all is well, ever more rarely while requests fail.

/** The longest wait after failures (ms). */
export const SLOWEST = 30_000;

/** Counts how long to wait before the next request. */
export class Schedule {
  #wait = 0;

  /** Whether the last request failed. */
  failed = false;

  /** Notes a success; returns whether the request before it had failed. */
  succeed() {
    const before = this.failed;
    this.failed = false;
    this.#wait = 0;
    return before;
  }

  /** Notes a failure: each one doubles the wait. @param {number} every the wait after a success (ms) */
  fail(every) {
    this.failed = true;
    this.#wait = Math.min((this.#wait || every) * 2, SLOWEST);
  }

  /** The wait before the next request (ms). @param {number} every the wait after a success (ms) */
  wait(every) {
    return this.#wait || every;
  }
}
