// The tags of the captions: how many captions have each, where it stands, and which are fused with the concept.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { FilterBar } from "./filter.mjs" */
/** @import { TagCount, TagsResponse, Target } from "./types.d.ts" */

/** As many tags are asked for, and as many rows are shown. */
const MOST = 2000;
const ROWS = 300;
/** Orders of the table, and their columns. */
const COLUMNS = [
  ["tag", "Tag"],
  ["count", "Captions"],
  ["position", "Position"],
];

export class TagTable {
  #app;
  #store;
  #filter;
  #rename;
  #search = el("input.input.small", {
    type: "search",
    placeholder: "Search tags",
    "aria-label": "Search tags",
    data: { action: "tags-search" },
  });
  #target = el(
    "select.input.small",
    { "aria-label": "Captions to count", data: { action: "tags-about" } },
    [
      ["all", "All captions"],
      ["shown", "Shown captions"],
      ["selected", "Selected captions"],
    ].map(([value, label]) => el("option", { value }, label)),
  );
  #summary = el("p.help", { "aria-live": "polite", data: { role: "fused" } });
  #problem = el("p.problem", { role: "alert", hidden: true });
  #heads = el("tr");
  #body = el("tbody");
  #more = el("p.help", { hidden: true });
  #order = "count";
  /** @type {TagCount[]} */
  #tags = [];
  #total = 0;
  /** @type {AbortController | null} */
  #request = null;

  /**
   * A click on a tag filters by it; `rename(tag)` is called by its other button.
   * @param {App} app
   * @param {CaptionStore} store
   * @param {FilterBar} filter
   * @param {(tag: string) => void} rename
   */
  constructor(app, store, filter, rename) {
    this.#app = app;
    this.#store = store;
    this.#filter = filter;
    this.#rename = rename;
    this.#target.addEventListener("change", () => this.update());
    this.#search.addEventListener("input", () => this.draw());
    this.node = el(
      "div.cap-body",
      {},
      el("div.cap-bar", {}, this.#target, this.#search),
      this.#summary,
      this.#problem,
      el(
        "div.cap-taglist",
        { tabIndex: 0, role: "region", "aria-label": "Tags" },
        el("table.table", {}, el("thead", {}, this.#heads), this.#body),
      ),
      this.#more,
    );
  }

  /** Asks for the tags, and shows them. */
  async update() {
    this.#request?.abort();
    if (this.#store.opened === null) return;
    const { signal } = (this.#request = new AbortController());
    try {
      const target = this.#target.value;
      const ids = target === "all" ? {} : { ids: this.#store.ids(/** @type {Target} */ (target)) };
      /** @type {TagsResponse} */
      const found = await this.#store.ask("tags", { ...ids, trigger: this.#trigger(), order: this.#order, most: MOST }, signal);
      if (signal.aborted) return;
      this.#tags = found.tags;
      this.#total = found.total;
      const summary = `${count(found.total, "tag", "tags")} in ${count(found.captions, "caption", "captions")}.`;
      this.#summary.textContent = [summary, found.text].filter(Boolean).join(" ");
      this.#problem.hidden = true;
      this.#filter.offer(found.tags.map(({ tag }) => tag));
      this.draw();
    } catch (error) {
      if (aborted(error)) return;
      this.#problem.textContent = sentenceOf(error);
      this.#problem.hidden = false;
    }
  }

  #trigger() {
    return String(this.#app.draft.get("dataset.concepts.0.trigger") ?? "").trim() || this.#store.trigger;
  }

  /** Draws the tags that match the search. */
  draw() {
    const text = this.#search.value.trim().toLowerCase();
    const found = this.#tags.filter(({ tag }) => tag.toLowerCase().includes(text));
    fill(
      this.#heads,
      COLUMNS.map(([name, label]) => this.#head(name, label)),
      el("th", { scope: "col" }, el("span.spoken", {}, "Rename")),
    );
    fill(
      this.#body,
      found.slice(0, ROWS).map((one) => this.#row(one)),
    );
    const left = found.length - ROWS;
    const unlisted = this.#total - this.#tags.length;
    this.#more.hidden = left <= 0 && unlisted <= 0;
    this.#more.textContent =
      left > 0 ? `${thousands(left)} more; search to find them.` : `${count(unlisted, "rarer tag isn't", "rarer tags aren't")} listed.`;
  }

  /**
   * @param {string} name
   * @param {string} label
   */
  #head(name, label) {
    const descending = name === "count";
    const sorted = this.#order === name;
    const sort = () => {
      this.#order = name;
      this.update();
    };
    return el(
      "th",
      { scope: "col", "aria-sort": sorted ? (descending ? "descending" : "ascending") : "none" },
      el("button", { type: "button", onclick: sort, data: { sort: name } }, label, sorted ? (descending ? " ↓" : " ↑") : ""),
    );
  }

  /** @param {TagCount} row */
  #row({ tag, count: captions, share, position, with_trigger: trigger, fused, variants }) {
    const mode = this.#filter.modeOf(tag);
    const name = el(
      "button.cap-tagname",
      {
        type: "button",
        title: "Click to filter by this tag, again to leave it out, again to stop",
        "aria-pressed": String(mode !== null),
        onclick: () => this.#filter.turn(tag),
        data: { tag },
      },
      mode === "none" ? "− " : mode ? "✓ " : "",
      tag,
    );
    return el(
      "tr",
      {},
      el(
        "td",
        {},
        name,
        fused && el("span.badge.cap-fused", { title: "In all captions: learned with the concept" }, "fused"),
        variants?.length ? el("p.help", {}, `Also written ${variants.join(", ")}`) : null,
      ),
      el(
        "td",
        { title: trigger === null || trigger === undefined ? "" : `${Math.round(trigger * 100)} % of them contain the trigger` },
        `${thousands(captions)} · ${percent(share)}`,
      ),
      el("td", {}, position.toFixed(1)),
      el(
        "td",
        {},
        button("✎", () => this.#rename(tag), {
          kind: "icon",
          "aria-label": `Rename ${tag}`,
          title: "Rename",
          data: { action: "tags-rename" },
        }),
      ),
    );
  }
}

/** @param {number} share */
function percent(share) {
  const value = share * 100;
  return `${value > 0 && value < 1 ? "<1" : Math.round(value)} %`;
}
