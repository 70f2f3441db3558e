// The guide: chapters to read, terms to look up, and from each term to the settings it explains.

import { button, el } from "../shared/dom.mjs";
import { matcher } from "../shared/search.mjs";

/** @import { App, Guide } from "../types.d.ts" */

/** @param {App} app */
export function guidePanel(app) {
  const { chapters, entries } = app.guide;
  const search = el("input.input", { type: "search", placeholder: "Search terms", "aria-label": "Search terms" });
  const none = el("p.quiet", { hidden: true }, "No terms match your search.");
  const nodes = new Map(entries.map((entry) => [entry.id, entryNode(app, entry)]));
  const draw = () => {
    const matches = matcher(search.value);
    for (const { id, term, text } of entries) {
      const node = nodes.get(id);
      if (node) node.hidden = !matches(`${term} ${text}`);
    }
    none.hidden = [...nodes.values()].some((node) => !node.hidden);
  };
  search.addEventListener("input", draw);

  const node = el(
    "div.guide",
    {},
    el("section.card.chapters", { "aria-label": "Chapters" }, chapters.map(chapterNode)),
    el("section.card", { "aria-label": "Terms" }, el("h2.title", {}, "Terms"), search, none, el("div.terms", {}, [...nodes.values()])),
  );
  return {
    node,
    /**
     * Brings an entry into view.
     * @param {string} id
     */
    show(id) {
      const entry = nodes.get(id);
      if (!entry) return;
      search.value = "";
      draw();
      app.point(entry);
    },
  };
}

/**
 * @param {Guide["chapters"][number]} chapter
 * @param {number} number the first one is open
 */
function chapterNode({ title, paragraphs }, number) {
  return el(
    "details.chapter",
    { open: number === 0 },
    el("summary", {}, title),
    paragraphs.map((text) => el("p", {}, text)),
  );
}

/**
 * @param {App} app
 * @param {Guide["entries"][number]} entry
 */
function entryNode(app, { id, term, text, settings }) {
  const buttons = settings.flatMap((path) => {
    const field = app.draft.field(path);
    return field ? [button(field.label, () => app.showSetting(path), { kind: "chip", data: { setting: path } })] : [];
  });
  return el(
    "article.term",
    { data: { entry: id }, tabIndex: -1 },
    el("h3.term-name", {}, term),
    el("p", {}, text),
    buttons.length > 0 && el("div.row.wrap", {}, buttons),
  );
}
