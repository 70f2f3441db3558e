// The bar that says which pictures are shown: by tags, words, length, concept, and what is wrong with a caption.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, debounced, el, fill, freshId } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";
import { ALL_CONCEPTS, filters, filterTree, turnedMode, wantedTags } from "./filter_tree.mjs";
import { plainTag } from "./tags.mjs";

/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { Kind } from "./filter_tree.mjs" */
/** @import { CaptionFilter, FilterTree, TagMode } from "./types.d.ts" */

/** @type {[TagMode, string][]} */
const MODES = [
  ["all", "has"],
  ["any", "has one of"],
  ["none", "lacks"],
];
/** @type {[Kind, string][]} */
const KINDS = [
  ["empty", "No caption"],
  ["copies", "Duplicates"],
  ["selected", "Selected"],
  ["changed", "Unsaved"],
  ["conflict", "Changed on disk"],
];
/** Milliseconds without typing until the filter is applied. */
const PAUSE = 200;
/** As many tags are offered to choose from. */
const OFFERED = 500;

export class FilterBar {
  #store;
  #duplicates;
  #askTags;
  /** How each tag counts. @type {Map<string, TagMode>} */
  #tags = new Map();
  /** @type {Set<Kind>} */
  #kinds = new Set();
  /** The filter that was applied last, as JSON. */
  #applied = "null";
  /** Whether the tags to choose from have changed. */
  #outdated = true;
  #fields = filterFields();
  #chips = el("div.cap-chips", { role: "list", "aria-label": "Filter tags" });
  #problem = el("p.problem", { role: "alert", hidden: true });
  #found = el("span.quiet", { role: "status", data: { role: "found" } });
  #all = button("Show all", () => this.clear(), { kind: "small", data: { action: "filter-clear" } });
  #again = button("Filter again", () => this.#apply(true), {
    kind: "small",
    hidden: true,
    title: "Captions have changed since this filter was applied",
    data: { action: "filter-again" },
  });
  #toggles = KINDS.map(([kind, label]) => ({
    kind,
    toggle: button(label, () => this.#toggleKind(kind), { kind: "chip.cap-toggle", "aria-pressed": "false", data: { filter: kind } }),
  }));

  /**
   * `duplicates.find()` resolves when duplicates are known; `askTags()` asks for the tags to choose from.
   * @param {CaptionStore} store
   * @param {{ find(): Promise<void> }} duplicates
   * @param {() => void} askTags
   */
  constructor(store, duplicates, askTags) {
    this.#store = store;
    this.#duplicates = duplicates;
    this.#askTags = askTags;
    this.node = this.#build();
    this.#connect();
  }

  #build() {
    const { text, regex, low, high, concept, tag, mode, offered } = this.#fields;
    return el(
      "div.stack.tight",
      { role: "search", "aria-label": "Filter the pictures" },
      el(
        "div.cap-bar",
        {},
        text,
        el("label.check", { title: "Regular expression: cat|dog, ^a, \\d+" }, regex, el("span", {}, "Regex")),
        el(
          "div.row.together",
          {},
          mode,
          tag,
          button("Add", () => this.#add(), { kind: "small", data: { action: "filter-add" } }),
        ),
        el("div.row.together", {}, el("span.quiet", {}, "Tokens"), low, high),
        concept,
      ),
      el(
        "div.cap-bar",
        {},
        this.#toggles.map(({ toggle }) => toggle),
        el("span.spring"),
        this.#found,
        this.#again,
        this.#all,
      ),
      this.#chips,
      this.#problem,
      offered,
    );
  }

  #connect() {
    const { text, regex, low, high, concept, tag } = this.#fields;
    const later = debounced(() => this.#apply(), PAUSE);
    for (const field of [text, low, high]) field.addEventListener("input", later);
    for (const field of [regex, concept]) field.addEventListener("change", () => this.#apply());
    tag.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#add();
    });
    tag.addEventListener("focus", () => {
      if (this.#outdated) this.#askTags();
    });
    // A tag chosen from the list needs no further key.
    tag.addEventListener("input", (event) => {
      if (event instanceof InputEvent && event.inputType === "insertReplacementText") this.#add();
    });
  }

  #choice() {
    const { text, regex, low, high, concept } = this.#fields;
    return {
      tags: this.#tags,
      text: text.value,
      regex: regex.checked,
      low: low.value,
      high: high.value,
      concept: concept.value,
      kinds: this.#kinds,
      selected: this.#store.ids("selected"),
    };
  }

  /** Applies the filter if it has changed. */
  #apply(again = false) {
    this.#draw();
    const tree = filterTree(this.#choice());
    const text = JSON.stringify(tree);
    if (text === this.#applied && !again) return;
    this.#applied = text;
    this.#ask(tree);
  }

  /**
   * Asks for the pictures that pass. After a failure, what was shown stays, and the sentence says so.
   * @param {FilterTree | null} tree
   */
  async #ask(tree) {
    try {
      if (this.#kinds.has("copies")) await this.#duplicates.find();
      await this.#store.filter(tree);
      this.#problem.hidden = true;
    } catch (error) {
      if (aborted(error)) return;
      this.#problem.textContent = sentenceOf(error);
      this.#problem.hidden = false;
      this.#applied = "";
    }
  }

  #draw() {
    for (const { kind, toggle } of this.#toggles) toggle.setAttribute("aria-pressed", String(this.#kinds.has(kind)));
    this.#all.hidden = !this.#active;
    fill(
      this.#chips,
      [...this.#tags].map(([name, mode]) => this.#chip(name, mode)),
    );
  }

  /**
   * @param {string} name
   * @param {TagMode} mode
   */
  #chip(name, mode) {
    const place = MODES.findIndex(([value]) => value === mode);
    const [next] = MODES[(place + 1) % MODES.length];
    return el(
      mode === "none" ? "span.cap-chip.not" : "span.cap-chip",
      { role: "listitem", data: { tag: name } },
      el(
        "button",
        { type: "button", title: "Click to switch between has, has one of, lacks", onclick: () => this.#setTag(name, next) },
        MODES[place][1],
      ),
      el("span", {}, name),
      el("button", { type: "button", "aria-label": `Remove ${name} from the filter`, onclick: () => this.#setTag(name, null) }, "×"),
    );
  }

  get #active() {
    return filters(this.#choice());
  }

  /** @param {Kind} kind */
  #toggleKind(kind) {
    if (!this.#kinds.delete(kind)) this.#kinds.add(kind);
    this.#apply();
  }

  /**
   * @param {string} name
   * @param {TagMode | null} mode null: the tag no longer counts
   */
  #setTag(name, mode) {
    const plain = plainTag(name);
    if (!plain) return;
    if (mode) this.#tags.set(plain, mode);
    else this.#tags.delete(plain);
    this.#apply();
  }

  #add() {
    const { tag, mode } = this.#fields;
    this.#setTag(tag.value, /** @type {TagMode} */ (mode.value));
    tag.value = "";
  }

  clear() {
    const { text, low, high, concept } = this.#fields;
    this.#tags.clear();
    this.#kinds.clear();
    text.value = low.value = high.value = "";
    concept.value = ALL_CONCEPTS;
    this.#apply();
  }

  /**
   * Filters by this alone. Resolves when the pictures that pass are known.
   * @param {CaptionFilter} filter
   */
  async set({ text = "", regex: isRegex = false, tags = [] }) {
    const { regex, low, high, concept } = this.#fields;
    this.#tags = new Map(tags.map(([tag, mode]) => [plainTag(tag), mode]));
    this.#kinds.clear();
    this.#fields.text.value = text;
    regex.checked = isRegex;
    low.value = high.value = "";
    concept.value = ALL_CONCEPTS;
    this.#draw();
    const tree = filterTree(this.#choice());
    this.#applied = JSON.stringify(tree);
    await this.#ask(tree);
  }

  /** Notes that the tags have changed: they are asked for when somebody begins to type one. */
  outdate() {
    this.#outdated = true;
  }

  /**
   * Offers tags to choose from.
   * @param {string[]} tags the most frequent first
   */
  offer(tags) {
    this.#outdated = false;
    fill(
      this.#fields.offered,
      tags.slice(0, OFFERED).map((tag) => el("option", { value: tag })),
    );
  }

  /**
   * Returns how a tag counts in the filter, or null.
   * @param {string} tag
   */
  modeOf(tag) {
    return this.#tags.get(plainTag(tag)) ?? null;
  }

  /**
   * Filters by a tag; the next time it is left out, and then it no longer counts.
   * @param {string} tag
   */
  turn(tag) {
    this.#setTag(tag, turnedMode(this.modeOf(tag)));
  }

  get wanted() {
    return wantedTags(this.#tags);
  }

  /** Shows how many pictures pass, and whether the filter should be applied again. */
  follow() {
    const { tree, shown, order, stale } = this.#store;
    const pictures = count(order.length, "picture", "pictures");
    this.#found.textContent = tree ? `${thousands(shown.length)} of ${pictures}` : pictures;
    this.#again.hidden = !(tree && stale);
  }

  /** Begins with another folder: it has other concepts, and nothing is filtered yet. */
  begin() {
    const { concepts } = this.#store;
    const { concept } = this.#fields;
    fill(
      concept,
      el("option", { value: ALL_CONCEPTS }, "All concepts"),
      concepts.map((one) => el("option", { value: one.concept }, `${one.concept || "The folder itself"} (${thousands(one.pictures)})`)),
    );
    concept.hidden = concepts.length < 2;
    this.#applied = "null";
    if (this.#active) this.#apply();
    else this.#draw();
  }
}

function filterFields() {
  const offeredId = freshId("sdft-tags");
  const words = "Caption or file name";
  return {
    text: el("input.input.search", {
      type: "search",
      placeholder: words,
      "aria-label": words,
      data: { action: "filter-text" },
      spellcheck: "false",
    }),
    regex: el("input", { type: "checkbox", data: { action: "filter-regex" } }),
    low: el("input.input.cap-number", {
      type: "text",
      inputmode: "numeric",
      placeholder: "from",
      "aria-label": "Tokens, at least",
      data: { action: "filter-low" },
    }),
    high: el("input.input.cap-number", {
      type: "text",
      inputmode: "numeric",
      placeholder: "to",
      "aria-label": "Tokens, at most",
      data: { action: "filter-high" },
    }),
    concept: el(
      "select.input.small",
      { "aria-label": "Concept", data: { action: "filter-concept" } },
      el("option", { value: ALL_CONCEPTS }),
    ),
    offered: el("datalist", { id: offeredId }),
    tag: el("input.input.small", {
      type: "text",
      placeholder: "Tag …",
      "aria-label": "Tag to filter by",
      list: offeredId,
      autocomplete: "off",
      spellcheck: "false",
      data: { action: "filter-tag" },
    }),
    mode: el(
      "select.input.small",
      { "aria-label": "How to match the tag", data: { action: "filter-mode" } },
      MODES.map(([value, label]) => el("option", { value }, label)),
    ),
  };
}
