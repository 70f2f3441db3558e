// The guide: chapters to read, terms to look up, and from each term to the settings it explains.

import { button, el } from "../shared/dom.mjs";
import { linkNode } from "../shared/links.mjs";
import { count } from "../shared/numbers.mjs";
import { matcher } from "../shared/search.mjs";

/** @import { App, Guide } from "../types.d.ts" */

/** @param {App} app */
export function guidePanel(app) {
  const { chapters, entries } = app.guide;
  const search = el("input.input", { type: "search", placeholder: "Search terms", "aria-label": "Search terms" });
  const none = el("p.quiet.spoken", { role: "status" });
  const nodes = new Map(entries.map((entry) => [entry.id, entryNode(app, entry)]));
  const draw = () => {
    const matches = matcher(search.value);
    for (const { id, term, text } of entries) {
      const node = nodes.get(id);
      if (node) node.hidden = !matches(`${term} ${text}`);
    }
    const found = [...nodes.values()].filter((node) => !node.hidden).length;
    none.textContent = found ? count(found, "term matches", "terms match") : "No terms match your search.";
    if (!search.value.trim()) none.textContent = "";
    none.classList.toggle("sdft-spoken", found > 0);
  };
  search.addEventListener("input", draw);

  const node = el(
    "div.guide",
    {},
    el("section.card.chapters", { "aria-label": "Chapters" }, chapters.map((chapter, number) => chapterNode(app, chapter, number))),
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
 * @param {App} app
 * @param {Guide["chapters"][number]} chapter
 * @param {number} number the first one is open
 */
function chapterNode(app, { title, paragraphs, places, links }, number) {
  return el(
    "details.chapter",
    { open: number === 0, data: { chapter: title } },
    el("summary", {}, title),
    paragraphs.map((text) => el("p", {}, text)),
    places.length > 0 && el("div.row.wrap", {}, placeButtons(app, places)),
    links.length > 0 && el("ul.links", {}, links.map((link) => el("li", {}, linkNode(link)))),
  );
}

/**
 * Makes a button for each place that this page has.
 * @param {App} app
 * @param {Guide["entries"][number]["places"]} places
 */
function placeButtons(app, places) {
  return places.flatMap(({ panel, tool, setting, label }) => {
    if (setting) return settingButtons(app, [setting]);
    const act = () => (tool ? app.showTool(tool) : app.show(panel));
    return [button(label, act, { kind: "chip", data: { place: tool ? `${panel}/${tool}` : panel } })];
  });
}

/** @param {App} app @param {string[]} paths */
function settingButtons(app, paths) {
  return paths.flatMap((path) => {
    const field = app.draft.field(path);
    return field ? [button(field.label, () => app.showSetting(path), { kind: "chip", data: { setting: path } })] : [];
  });
}

/**
 * @param {App} app
 * @param {Guide["entries"][number]} entry
 */
function entryNode(app, { id, term, text, settings, command, places, links }) {
  const buttons = [...settingButtons(app, settings), ...placeButtons(app, places)];
  return el(
    "article.term",
    { data: { entry: id }, tabIndex: -1 },
    el("h3.term-name", {}, term),
    el("p", {}, text),
    command && el("code.command", {}, command),
    links.map(linkNode),
    buttons.length > 0 && el("div.row.wrap", {}, buttons),
  );
}
