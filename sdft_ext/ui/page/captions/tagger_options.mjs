// What becomes of a tagger's tags: where they go in the captions, which are left out, how they are written.

import { el, freshId } from "../shared/dom.mjs";

const HOW = [
  ["append", "Add missing tags at the end"],
  ["front", "Put in front"],
  ["replace", "Replace"],
  ["empty", "Only where there is no caption"],
];

export class TaggerOptions {
  #fields = {
    how: el(
      "select.input",
      {},
      HOW.map(([value, label]) => el("option", { value }, label)),
    ),
    prefix: textInput(),
    threshold: shareInput(0.35),
    character_threshold: shareInput(0.85),
    blacklist: textInput(),
    spaces: checkbox(true),
    escape: checkbox(false),
    rating: checkbox(false),
  };
  #forTags;

  /** @param {() => void} changed */
  constructor(changed) {
    const fields = this.#fields;
    for (const [name, field] of Object.entries(fields)) {
      field.dataset.tagger = name;
      field.addEventListener("input", changed);
    }
    this.#forTags = el(
      "div.stack.tight",
      {},
      el("div.row", {}, labelled("Minimum score", fields.threshold), labelled("For characters", fields.character_threshold)),
      labelled("Tags to leave out, separated by commas", fields.blacklist),
      checked("Underscores to spaces", fields.spaces),
      checked("Escape brackets", fields.escape),
      checked("Add the rating", fields.rating),
    );
    this.node = el(
      "div.stack.tight",
      {},
      labelled("Existing captions", fields.how),
      labelled("Text in front", fields.prefix),
      this.#forTags,
    );
  }

  /**
   * Hides what is only for tags, where a tagger writes sentences.
   * @param {boolean} sentences
   */
  follow(sentences) {
    this.#forTags.hidden = sentences;
  }

  /** Returns the options as the server reads them. */
  get values() {
    const { how, prefix, threshold, character_threshold, blacklist, spaces, escape, rating } = this.#fields;
    return {
      how: how.value,
      prefix: prefix.value,
      threshold: Number(threshold.value),
      character_threshold: Number(character_threshold.value),
      blacklist: blacklist.value,
      spaces: spaces.checked,
      escape: escape.checked,
      rating: rating.checked,
    };
  }
}

function textInput() {
  return el("input.input", { type: "text", spellcheck: "false", autocomplete: "off" });
}

/** @param {number} value */
function shareInput(value) {
  return el("input.input.number", { type: "number", min: 0, max: 1, step: 0.05, value: String(value) });
}

/** @param {boolean} value */
function checkbox(value) {
  return el("input", { type: "checkbox", checked: value });
}

/**
 * @param {string} label
 * @param {HTMLElement} input
 */
function labelled(label, input) {
  input.id = freshId("sdft-tagger");
  return el("div.field", {}, el("label.label", { htmlFor: input.id }, label), input);
}

/**
 * @param {string} label
 * @param {HTMLElement} input
 */
function checked(label, input) {
  return el("label.check", {}, input, el("span", {}, label));
}
