// Which pictures are shown: tags that a caption has, one of which it has, or lacks; words; length; and what is wrong with it.

import { button, debounced, el, fill, freshId } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";
import { plainTag } from "./tags.mjs";

const MODES = [
  ["all", "has", "and"],
  ["any", "has one of", "or"],
  ["none", "lacks", "not"],
];
const PAUSE = 200;
/** The choice of no concept in particular; no folder has this name. */
const ALL = "*";

/** `copies.look()` resolves when copies are known; `names()` asks for the tags to choose from. */
export function filterBar(app, book, copies, names) {
  /** Tags by how they count: tag → `all`, `any` or `none`. */
  const tags = new Map();
  const on = new Set();
  let told = "null";

  const text = el("input.input.search", { type: "search", placeholder: "Words in the caption or file name", "aria-label": "Words in the caption or file name", data: { action: "filter-text" }, spellcheck: "false" });
  const regex = el("input", { type: "checkbox", data: { action: "filter-regex" } });
  const low = el("input.input.cap-number", { type: "text", inputmode: "numeric", placeholder: "from", "aria-label": "Tokens, at least", data: { action: "filter-low" } });
  const high = el("input.input.cap-number", { type: "text", inputmode: "numeric", placeholder: "to", "aria-label": "Tokens, at most", data: { action: "filter-high" } });
  const concept = el("select.input.small", { "aria-label": "Concept", data: { action: "filter-concept" } });
  const listed = freshId("sdft-tags");
  const known = el("datalist", { id: listed });
  let old = true;
  const tag = el("input.input.small", { type: "text", placeholder: "Tag …", "aria-label": "Tag to filter by", list: listed, autocomplete: "off", spellcheck: "false", data: { action: "filter-tag" } });
  const mode = el("select.input.small", { "aria-label": "How the tag counts", data: { action: "filter-mode" } }, MODES.map(([value, label]) => el("option", { value }, label)));
  const chips = el("div.cap-chips", { role: "list", "aria-label": "Tags that are filtered by" });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const found = el("span.quiet", { role: "status", data: { role: "found" } });
  const none = button("Show all", () => clear(), { kind: "small", data: { action: "filter-clear" } });
  const again = button("Filter again", () => tell(true), { kind: "small", hidden: true, title: "Captions have changed since", data: { action: "filter-again" } });
  const kinds = [
    ["empty", "No caption"],
    ["copies", "Copies"],
    ["selected", "Selected"],
    ["changed", "Unsaved"],
    ["conflict", "Changed on disk"],
  ].map(([name, label]) => {
    const one = button(label, () => {
      if (!on.delete(name)) on.add(name);
      tell();
    }, { kind: "chip.cap-toggle", "aria-pressed": "false", data: { filter: name } });
    return { name, one };
  });

  /** The filter as the server reads it; null shows all. */
  const tree = () => {
    const all = [...of("all"), ...of("none").map((one) => ({ not: one }))];
    if (of("any").length) all.push({ any: of("any") });
    const words = text.value;
    if (words && regex.checked) all.push({ regex: words });
    else if (words.trim()) all.push({ any: [{ text: words.trim() }, { name: words.trim() }] });
    const least = number(low.value);
    const most = number(high.value);
    if (least !== null || most !== null) all.push({ tokens: { ...(least !== null && { least }), ...(most !== null && { most }) } });
    if (concept.value !== ALL) all.push({ concept: concept.value });
    if (on.has("empty")) all.push({ empty: true });
    if (on.has("copies")) all.push({ copies: true });
    if (on.has("selected")) all.push({ ids: book.ids("selected") });
    if (on.has("changed")) all.push({ state: "changed" });
    if (on.has("conflict")) all.push({ state: "conflict" });
    return all.length ? { all } : null;
  };
  const of = (wanted) => [...tags].filter(([, kind]) => kind === wanted).map(([name]) => ({ tag: name }));

  const tell = (again = false) => {
    draw();
    const now = tree();
    const text_ = JSON.stringify(now);
    if (text_ === told && !again) return;
    told = text_;
    filter(now);
  };
  /** Asks for what passes. Where nothing answers, what was shown stays, and the sentence says so. */
  const filter = async (now) => {
    try {
      if (on.has("copies")) await copies.look();
      await book.filter(now);
      problem.hidden = true;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem.textContent = error.message;
      problem.hidden = false;
      told = "";
    }
  };
  const later = debounced(() => tell(), PAUSE);

  const draw = () => {
    for (const { name, one } of kinds) one.setAttribute("aria-pressed", String(on.has(name)));
    none.hidden = !active();
    fill(
      chips,
      [...tags].map(([name, kind]) => {
        const [, label] = MODES.find(([value]) => value === kind);
        return el(
          kind === "none" ? "span.cap-chip.not" : "span.cap-chip",
          { role: "listitem", data: { tag: name } },
          el("button", { type: "button", title: "Has, has one of, lacks: click for the next", onclick: () => put(name, next(kind)) }, label),
          el("span", {}, name),
          el("button", { type: "button", "aria-label": `Filter no more by ${name}`, onclick: () => put(name, null) }, "×"),
        );
      }),
    );
  };
  const active = () => tags.size > 0 || on.size > 0 || text.value !== "" || low.value.trim() !== "" || high.value.trim() !== "" || concept.value !== ALL;
  const next = (kind) => MODES[(MODES.findIndex(([value]) => value === kind) + 1) % MODES.length][0];
  const put = (name, kind) => {
    const plain = plainTag(name);
    if (!plain) return;
    if (kind) tags.set(plain, kind);
    else tags.delete(plain);
    tell();
  };
  const add = () => {
    put(tag.value, mode.value);
    tag.value = "";
  };
  const clear = () => {
    tags.clear();
    on.clear();
    text.value = low.value = high.value = "";
    concept.value = ALL;
    tell();
  };

  for (const one of [text, low, high]) one.addEventListener("input", later);
  regex.addEventListener("change", () => tell());
  concept.addEventListener("change", () => tell());
  tag.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  });
  tag.addEventListener("focus", () => {
    if (old) names();
  });
  // A tag chosen from the list needs no further key.
  tag.addEventListener("input", (event) => {
    if (event.inputType === "insertReplacementText") add();
  });

  return {
    node: el(
      "div.stack.tight",
      { role: "search", "aria-label": "Filter the pictures" },
      el(
        "div.cap-bar",
        {},
        text,
        el("label.check", { title: "Regular expression: cat|dog, ^a, \\d+" }, regex, el("span", {}, "Regex")),
        el("div.row.together", {}, mode, tag, button("Add", add, { kind: "small", data: { action: "filter-add" } })),
        el("div.row.together", {}, el("span.quiet", {}, "Tokens"), low, high),
        concept,
      ),
      el("div.cap-bar", {}, kinds.map(({ one }) => one), el("span.spring"), found, again, none),
      chips,
      problem,
      known,
    ),
    /** The tags have changed: they are asked for when somebody begins to write one. */
    stale() {
      old = true;
    },
    /** Tags to choose from, the most frequent first. */
    know(all) {
      old = false;
      fill(known, all.slice(0, 500).map((one) => el("option", { value: one })));
    },
    /** How a tag counts in the filter, or null. */
    modeOf: (name) => tags.get(plainTag(name)) ?? null,
    /** Filters by a tag; the next time it is left out, and then it counts no more. */
    turn(name) {
      const kind = tags.get(plainTag(name));
      put(name, kind === undefined ? "all" : kind === "all" ? "none" : null);
    },
    get wanted() {
      return new Set([...tags].filter(([, kind]) => kind !== "none").map(([name]) => name));
    },
    /** Follows the book: how many are shown, and whether what is shown may not pass any more. */
    follow() {
      const shown = book.shown.length.toLocaleString("en");
      found.textContent = book.tree ? `${shown} of ${count(book.order.length, "picture", "pictures")}` : count(book.order.length, "picture", "pictures");
      again.hidden = !(book.tree && book.stale);
    },
    /** Another folder has other concepts, and no filter yet. */
    begin() {
      const { concepts } = book;
      fill(concept, el("option", { value: ALL }, "All concepts"), concepts.map((one) => el("option", { value: one.concept }, `${one.concept || "The folder itself"} (${one.pictures.toLocaleString("en")})`)));
      concept.hidden = concepts.length < 2;
      told = "null";
      if (active()) tell();
      else draw();
    },
    clear,
    get active() {
      return active();
    },
  };
}

function number(text) {
  const value = text.trim();
  return /^\d+$/.test(value) ? Number(value) : null;
}
