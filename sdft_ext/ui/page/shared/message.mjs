// The sentence above the panels: what has just worked, or hasn't.

import { button, el, fill } from "./dom.mjs";

/** How long good news stays (ms); bad news stays until it is closed. */
const GOOD_NEWS = 6000;

export class Message {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Screen readers read what is put into these; for good news, the place must be in the page before it. */
  #good = el("div", { role: "status" });
  #bad = el("div", { role: "alert" });
  node = el("div", { data: { role: "page-message" } }, this.#good, this.#bad);

  /**
   * Shows a sentence until it is closed or another one comes. Returns what takes it away.
   * @param {string} text
   * @param {"good" | "bad" | "plain" | "warn"} kind
   */
  show(text, kind) {
    this.hide();
    const notice = el(`div.notice.${kind}`, {}, el("span", {}, text), button("×", () => this.hide(), { kind: "icon", "aria-label": "Close" }));
    fill(kind === "bad" ? this.#bad : this.#good, notice);
    if (kind === "good") this.#timer = setTimeout(() => this.hide(), GOOD_NEWS);
    return () => {
      if (notice.isConnected) this.hide();
    };
  }

  hide() {
    clearTimeout(this.#timer);
    fill(this.#good);
    fill(this.#bad);
  }
}
