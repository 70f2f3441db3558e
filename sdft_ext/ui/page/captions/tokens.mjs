// A caption as the model reads it: pieces, chunks of 75, what is cut off, and how attention is shared.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { debounced, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { CaptionPart, CaptionStrategy, Token, TokensResponse } from "./types.d.ts" */

/** Milliseconds without typing until the tokens are asked for. */
const PAUSE = 250;
const COLOURS = 8;

export class TokenView {
  #store;
  #facts = el("p.help", { "aria-live": "polite", data: { role: "tokens" } });
  #body = el("div.stack.tight");
  #problem = el("p.problem", { role: "alert", hidden: true });
  #strategies = el("details.fold", {}, el("summary", {}, "How captions affect training"));
  /** @type {AbortController | null} */
  #request = null;
  /** The text that is shown or asked for. @type {string | null} */
  #text = null;
  #later = debounced((/** @type {string} */ text) => this.#ask(text), PAUSE);

  /** @param {CaptionStore} store */
  constructor(store) {
    this.#store = store;
    // The explanations are asked for when somebody opens them, once.
    this.#strategies.addEventListener("toggle", () => {
      if (this.#strategies.open && this.#strategies.children.length === 1) this.#explain();
    });
    const head = el("div", {}, el("h3.subtitle", {}, "As the model reads it"), this.#facts);
    this.node = el("section.stack.tight", { "aria-label": "Tokens and attention" }, head, this.#problem, this.#body, this.#strategies);
  }

  /**
   * Shows a text's tokens when they have come.
   * @param {string} text
   */
  show(text) {
    if (text === this.#text) return;
    this.#text = text;
    this.#request?.abort();
    this.#later(text);
  }

  /** @param {string} text */
  async #ask(text) {
    this.#request?.abort();
    const { signal } = (this.#request = new AbortController());
    try {
      /** @type {TokensResponse} */
      const found = await this.#store.ask("tokens", { text }, signal);
      if (signal.aborted) return;
      this.#problem.hidden = true;
      this.#draw(found);
    } catch (error) {
      if (aborted(error)) return;
      // It is asked for again as soon as something is typed or another picture is chosen.
      this.#text = null;
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#problem.textContent = sentenceOf(error);
    this.#problem.hidden = false;
  }

  /** @param {TokensResponse} found */
  #draw({ count: tokens, chunks, parts, cut, strategy, advice }) {
    this.#facts.textContent = `${count(tokens, "token", "tokens")}, ${count(Math.max(chunks.length, 1), "chunk of 75", "chunks of 75")}`;
    fill(
      this.#body,
      parts.length > 0 && el("div.cap-shares", { role: "list", "aria-label": "How attention is shared" }, parts.map(shareNode)),
      advice.map((text) => el("p.advice", {}, text)),
      chunks.map((pieces, number) =>
        el(
          "div.cap-chunk",
          {},
          chunks.length > 1 && el("span.quiet", {}, `Chunk ${number + 1}`),
          el("div.cap-tokens", {}, tokenNodes(pieces)),
        ),
      ),
      cut && el("p.problem", {}, `A trainer that reads only 75 tokens leaves out: ${cut}`),
    );
    /** @type {NodeListOf<HTMLElement>} */
    const explained = this.#strategies.querySelectorAll("[data-strategy]");
    for (const node of explained) {
      const mine = node.dataset.strategy === strategy;
      node.classList.toggle("sdft-mine", mine);
      /** @type {HTMLElement | null} */
      const mark = node.querySelector("[data-role=mine]");
      if (mark) mark.hidden = !mine;
    }
  }

  async #explain() {
    try {
      /** @type {{ strategies: CaptionStrategy[] }} */
      const { strategies } = await this.#store.app.api.post("captions/strategies");
      if (this.#strategies.children.length > 1) return;
      this.#strategies.append(el("div.stack.tight", {}, strategies.map(strategyNode)));
      const text = this.#text;
      this.#text = null;
      if (text !== null) this.show(text);
    } catch (error) {
      this.#strategies.open = false;
      this.#fail(error);
    }
  }
}

/**
 * Returns the colour of a caption's part.
 * @param {number} number
 */
function colour(number) {
  return `color-mix(in srgb, hsl(${(number % COLOURS) * 45 + 20} 70% 50%) 30%, var(--sdft-card))`;
}

/**
 * @param {CaptionPart} part
 * @param {number} number
 */
function shareNode(part, number) {
  const bar = el("span.meter-fill");
  bar.style.width = `${Math.round(part.share * 100)}%`;
  bar.style.background = colour(number);
  return el(
    "div.cap-share",
    { role: "listitem", title: `${part.text}: ${count(part.tokens, "token", "tokens")}` },
    el("span", {}, part.text),
    el("span.meter", { "aria-hidden": "true" }, bar),
    el("span", {}, `${Math.round(part.share * 100)} %`),
  );
}

/** @param {Token[]} pieces */
function tokenNodes(pieces) {
  return pieces.map((piece, at) => {
    const joined = at > 0 && !pieces[at - 1].word_end;
    const node = el(joined ? "span.cap-token.joined" : "span.cap-token", {}, piece.text);
    node.style.background = colour(piece.part);
    return node;
  });
}

/** @param {CaptionStrategy} strategy */
function strategyNode({ name, label, text }) {
  const mark = el("span.quiet", { hidden: true, data: { role: "mine" } }, " – this caption");
  return el("div.cap-strategy", { data: { strategy: name } }, el("h3.subtitle", {}, label, mark), el("p.help", {}, text));
}
