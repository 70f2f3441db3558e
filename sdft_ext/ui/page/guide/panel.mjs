// The guide: chapters to read, terms to look up, and from each term to the settings it explains.

import { button, el, fill } from "../shared/dom.mjs";

export function guidePanel(app) {
  const { chapters, entries } = app.guide;
  const search = el("input.input", { type: "search", placeholder: "Search the terms", "aria-label": "Search the terms" });
  const none = el("p.quiet", { hidden: true }, "No term has these words.");
  const nodes = new Map(entries.map((entry) => [entry.id, entryNode(app, entry)]));
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let any = false;
    for (const entry of entries) {
      const text = `${entry.term} ${entry.text}`.toLowerCase();
      const found = words.every((word) => text.includes(word));
      nodes.get(entry.id).hidden = !found;
      any ||= found;
    }
    none.hidden = any;
  });

  const node = el(
    "div.guide",
    {},
    el(
      "section.card.chapters",
      { "aria-label": "Chapters" },
      chapters.map((chapter, number) =>
        el("details.chapter", { open: number === 0 }, el("summary", {}, chapter.title), chapter.paragraphs.map((text) => el("p", {}, text))),
      ),
    ),
    el("section.card", { "aria-label": "Terms" }, el("h2.title", {}, "Terms"), search, none, el("div.terms", {}, [...nodes.values()])),
  );
  return {
    node,
    /** Brings an entry into view. */
    show(id) {
      const entry = nodes.get(id);
      if (!entry) return;
      search.value = "";
      search.dispatchEvent(new Event("input"));
      app.point(entry);
    },
  };
}

function entryNode(app, entry) {
  const settings = entry.settings.filter((path) => app.draft.field(path));
  return el(
    "article.term",
    { data: { entry: entry.id }, tabIndex: -1 },
    el("h3.term-name", {}, entry.term),
    el("p", {}, entry.text),
    settings.length > 0 &&
      el(
        "div.row.wrap",
        {},
        settings.map((path) => button(app.draft.field(path).label, () => app.showSetting(path), { kind: "chip", data: { setting: path } })),
      ),
  );
}
