// Sends what is typed into a caption: again where the server doesn't answer, and as the user chooses where the caption changed meanwhile.

import { aborted, ApiError, sentenceOf } from "../shared/api.mjs";
import { chooseText } from "./conflicts.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { Say } from "./types.d.ts" */

/** Milliseconds until a text that couldn't be sent is sent again. */
const RETRY = 4000;

export class Autosend {
  #app;
  #store;
  #say;
  #settled;
  #timer = 0;
  #asking = false;

  /**
   * `settled()` is called when the user has chosen between two texts.
   * @param {App} app
   * @param {CaptionStore} store
   * @param {{ say: Say, settled: () => void }} actions
   */
  constructor(app, store, { say, settled }) {
    this.#app = app;
    this.#store = store;
    this.#say = say;
    this.#settled = settled;
  }

  /**
   * Sends a text; returns whether the server has it. A `quiet` one, in a pause of typing, asks the user nothing.
   * @param {number} id
   * @param {string} text
   * @param {{ quiet?: boolean }} options
   * @returns {Promise<boolean>}
   */
  async send(id, text, { quiet = false } = {}) {
    try {
      await this.#store.send(id, text);
      return true;
    } catch (error) {
      if (aborted(error)) return false;
      const status = error instanceof ApiError ? error.status : null;
      // Nobody is asked in the middle of a word: leaving the field sends it again.
      if (status === 409 && this.#store.entry(id)) return quiet ? false : this.#choose(id, text);
      this.#say(`${sentenceOf(error)} Your text is kept here.`, "bad");
      // The server doesn't answer, or failed: the text is sent again. A refusal is final.
      if (status === 0 || (status !== null && status >= 500)) this.retry();
      return false;
    }
  }

  /** Sends everything that is unsent, until one fails; returns whether all has arrived. */
  async sendAll() {
    clearTimeout(this.#timer);
    for (const [id, text] of this.#store.unsent.list()) if (!(await this.send(id, text))) return false;
    return true;
  }

  retry() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      if (!this.#app.over) this.sendAll();
    }, RETRY);
  }

  /**
   * Lets the user choose between the typed text and the one that is there now.
   * @param {number} id
   * @param {string} text
   */
  async #choose(id, text) {
    const entry = this.#store.entry(id);
    if (this.#asking || !entry) return false;
    this.#asking = true;
    try {
      const kept = await chooseText(this.#app, entry.name, text, entry.caption);
      if (kept === "mine") {
        this.#store.rebaseUnsent(id);
        return await this.send(id, text);
      }
      if (kept === "theirs") this.#store.forgetUnsent(id);
      return kept === "theirs";
    } finally {
      this.#asking = false;
      this.#settled();
    }
  }
}
