// A caption as the model reads it: pieces, chunks of 75, what is cut off, and how its words share the attention.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { debounced, el, fill } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";

/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { CaptionPart, CaptionStrategy, CaptionWord, Token, TokensResponse } from "./types.d.ts" */

/** Milliseconds without typing until the tokens are asked for. */
const PAUSE = 250;
const COLOURS = 8;
/** Words that are listed with their share. */
const MOST_WORDS = 225;

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
  /** Whether the shares of the parts are unfolded. */
  #partsOpen = false;
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
      const found = await this.#store.ask("tokens", { text, trigger: this.#trigger() }, signal);
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

  /** The words that call the concept: the recipe's, or those that all captions begin with. */
  #trigger() {
    const { draft } = this.#store.app;
    const trigger = draft.text("dataset.concepts.0.trigger").trim();
    return trigger ? `${trigger} ${draft.text("dataset.concepts.0.class_word")}`.trim() : this.#store.trigger;
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#problem.textContent = sentenceOf(error);
    this.#problem.hidden = false;
  }

  /** @param {TokensResponse} found */
  #draw({ count: tokens, chunks, parts, words, budget, cut, strategy, advice }) {
    this.#facts.textContent = `${count(tokens, "token", "tokens")}, ${count(Math.max(chunks.length, 1), "chunk of 75", "chunks of 75")}`;
    fill(
      this.#body,
      budget && el("p.help", { data: { role: "budget" } }, budget),
      words.length > 0 && el("div.cap-word-shares", { role: "list", "aria-label": "Each word's share of the attention" }, wordNodes(words.slice(0, MOST_WORDS))),
      words.length > MOST_WORDS && el("p.quiet", {}, `And ${thousands(words.length - MOST_WORDS)} more words.`),
      parts.length > 1 &&
        el(
          "details.fold",
          { open: this.#partsOpen, ontoggle: (/** @type {Event} */ event) => this.#keepOpen(event) },
          el("summary", {}, "Between the commas"),
          el("div.cap-shares", { role: "list", "aria-label": "Each part's share of the attention" }, parts.map(shareNode)),
        ),
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

  /** @param {Event} event */
  #keepOpen({ target }) {
    if (target instanceof HTMLDetailsElement && target.isConnected) this.#partsOpen = target.open;
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

/** Writes a share of 0.067 as "6.7 %", one of 0.2 as "20 %". @param {number} share */
export function percent(share) {
  return `${share < 0.0995 ? Number((share * 100).toPrecision(2)) : Math.round(share * 100)} %`;
}

/** Makes a bar for each word, as long as its share compared with the largest. @param {CaptionWord[]} words */
function wordNodes(words) {
  const most = Math.max(...words.map(({ share }) => share));
  return words.map(({ text, tokens, share, part }) => {
    const title = `${text}: ${count(tokens, "token", "tokens")}`;
    const node = el("div.cap-word-share", { role: "listitem", title }, el("span", {}, text), el("span", {}, percent(share)));
    const end = `${(share / most) * 100}%`;
    node.style.background = `linear-gradient(90deg, ${colour(part)} ${end}, transparent ${end})`;
    return node;
  });
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
    el("span", {}, percent(part.share)),
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
