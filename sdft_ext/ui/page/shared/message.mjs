// The sentence above the panels: what has just worked, or hasn't.

import { button, el, fill } from "./dom.mjs";

/** How long good news stays (ms); bad news stays until it is closed. */
const GOOD_NEWS = 6000;

export class Message {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  node = el("div.notice", { role: "status", hidden: true });

  /**
   * Shows a sentence until it is closed or another one comes. Returns what takes it away.
   * @param {string} text
   * @param {"good" | "bad" | "plain" | "warn"} kind
   */
  show(text, kind) {
    this.node.className = `sdft-notice sdft-${kind}`;
    this.node.setAttribute("role", kind === "bad" ? "alert" : "status");
    const sentence = el("span", {}, text);
    fill(this.node, sentence, button("×", () => this.hide(), { kind: "icon", "aria-label": "Close" }));
    this.node.hidden = false;
    clearTimeout(this.#timer);
    if (kind === "good") this.#timer = setTimeout(() => this.hide(), GOOD_NEWS);
    return () => {
      if (sentence.isConnected) this.hide();
    };
  }

  hide() {
    this.node.hidden = true;
  }
}
