// Every other setting, folded under the recipe's headings, with a search, presets, and the recipe as a file.

import { button, el, fill } from "../shared/dom.mjs";
import { settingField } from "../shared/field.mjs";
import { count } from "../shared/numbers.mjs";
import { matcher } from "../shared/search.mjs";
import { contents } from "./pictures.mjs";
import { presetMenu, showPresets } from "./presets.mjs";
import { importSettings } from "./import_settings.mjs";
import { isPrompts, promptProposal } from "./proposed_prompts.mjs";
import { loadRecipe, showYaml } from "./recipe_file.mjs";
import { searchedText, usedBy } from "./settings_filter.mjs";
import { isTrigger, triggerSuggestion } from "./trigger.mjs";

/** @import { App, Child, Section } from "../types.d.ts" */

const CONCEPT = "dataset.concepts.0";
/** How many pictures of a further concept are shown. */
const SHOWN = 8;

/** Makes the card of all settings, but for the paths that stand `elsewhere`. @param {App} app @param {string[]} elsewhere */
export function settings(app, elsewhere) {
  const search = el("input.input.search", { type: "search", placeholder: "Search the settings", "aria-label": "Search the settings" });
  const onlyChanged = el("input", { type: "checkbox", data: { action: "only-changed" } });
  const none = el("p.quiet", { role: "status" });
  const resetAll = button("Reset all", () => app.draft.clear(), { kind: "link", data: { action: "reset-all" } });
  const list = el("div.sections");
  let drawn = -1;
  let method = "";

  const draw = () => {
    drawn = app.draft.concepts;
    fill(list, app.schema.sections.flatMap((section) => sectionNodes(app, section, elsewhere)));
    filter();
  };
  const filter = () => {
    method = app.draft.text("method.name");
    const matches = matcher(search.value);
    const filtering = search.value.trim() !== "" || onlyChanged.checked;
    let any = 0;
    for (const section of sectionsIn(list)) {
      const found = filterSection(app, section, matches, onlyChanged.checked);
      section.hidden = found === 0 && filtering;
      if (filtering && found) section.open = true;
      any += found;
    }
    none.textContent = any ? count(any, "setting matches", "settings match") : "No settings match your search.";
    if (!filtering) none.textContent = "";
    none.classList.toggle("sdft-spoken", any > 0 || !filtering);
  };
  const follow = () => {
    if (drawn !== app.draft.concepts) draw();
    for (const section of sectionsIn(list)) countChanges(app, section);
    resetAll.hidden = app.draft.changes.length === 0;
    if (onlyChanged.checked || app.draft.get("method.name") !== method) filter();
  };
  search.addEventListener("input", filter);
  onlyChanged.addEventListener("change", filter);

  const presets = presetMenu(app);
  const files = [
    button("Presets…", () => showPresets(app, () => presets.refresh()), { kind: "small", data: { action: "presets" } }),
    button("Load a recipe…", () => loadRecipe(app), { kind: "small", data: { action: "load-recipe" } }),
    button("Import settings…", () => importSettings(app), { kind: "small", data: { action: "import-settings" } }),
    button("Show as YAML", () => showYaml(app), { kind: "small", data: { action: "yaml" } }),
  ];
  const node = el(
    "section.card.settings",
    { "aria-label": "All settings" },
    el("div.row.wrap", {}, el("h2.title", {}, "All settings"), el("span.spring"), presets.node, ...files),
    el("div.row.wrap", {}, search, el("label.check", {}, onlyChanged, el("span", {}, "Only changed ones")), resetAll),
    none,
    list,
  );
  app.whenDraft(node, follow);
  draw();
  follow();
  return {
    node,
    /** Shows all settings again. */
    unfilter() {
      search.value = "";
      onlyChanged.checked = false;
      filter();
    },
  };
}

/** @param {HTMLElement} list */
const sectionsIn = (list) => [...list.children].filter((one) => one instanceof HTMLDetailsElement);

/** The fields in a section. @param {HTMLElement} section @returns {HTMLElement[]} */
const fieldsIn = (section) => [...section.querySelectorAll("[data-path]")].filter((one) => one instanceof HTMLElement);

/**
 * Hides the fields of a section that the search doesn't find, or the method doesn't use. Returns how many stay.
 * @param {App} app
 * @param {HTMLElement} section
 * @param {(text: string) => boolean} matches
 * @param {boolean} onlyChanged
 */
function filterSection({ draft }, section, matches, onlyChanged) {
  const method = draft.text("method.name");
  let found = 0;
  for (const node of fieldsIn(section)) {
    const path = node.dataset.path ?? "";
    const field = draft.fieldOf(path);
    const text = searchedText(field, path, section.dataset.label ?? "");
    const visible = usedBy(field, method) && matches(text) && (!onlyChanged || draft.changed(path));
    node.hidden = !visible;
    found += visible ? 1 : 0;
  }
  return found;
}

/** Says in a section's heading how many of its settings are changed. @param {App} app @param {HTMLElement} section */
function countChanges({ draft }, section) {
  const changed = fieldsIn(section).filter((field) => draft.changed(field.dataset.path ?? "")).length;
  const mark = section.querySelector("summary [data-role=changed]");
  if (mark) mark.textContent = changed ? `${changed} changed` : "";
}

/** Makes a section; of a repeated one, one for each concept. @param {App} app @param {Section} section @param {string[]} elsewhere */
function sectionNodes(app, section, elsewhere) {
  if (section.repeated) return conceptSections(app, section, elsewhere);
  return sectionNode(app, section, section.fields.map((field) => field.path).filter((path) => !elsewhere.includes(path)));
}

/** Makes what is suggested below a setting; nothing for most. @param {App} app @param {string} path */
function tailOf(app, path) {
  if (isTrigger(path)) return triggerSuggestion(app, path);
  return isPrompts(path) ? promptProposal(app, path) : null;
}

/**
 * Makes a section; nothing where it would be empty.
 * @param {App} app
 * @param {Section} section
 * @param {string[]} paths
 * @param {{ title?: string, tail?: Child, pictures?: string[] }} options pictures: paths of folders whose pictures are shown
 */
function sectionNode(app, section, paths, { title = section.label, tail = null, pictures = [] } = {}) {
  if (!paths.length && !tail) return [];
  const changed = el("span.changed-count", { data: { role: "changed" } });
  return [
    el(
      "details.section",
      { data: { section: section.path, label: title } },
      el("summary", {}, el("span.section-name", {}, title), el("span.quiet", {}, section.help), el("span.spring"), changed),
      el("div.fields", {}, paths.map((path) => settingField(app, path, { tail: tailOf(app, path) }))),
      pictures.map((path) => contents(app, path, SHOWN)),
      tail,
    ),
  ];
}

/** Makes a section for each concept; the first one's folders and words are among the five choices. @param {App} app @param {Section} section @param {string[]} elsewhere */
function conceptSections(app, section, elsewhere) {
  const { draft } = app;
  return Array.from({ length: draft.concepts }, (_, number) => {
    const paths = section.fields.map((field) => field.path.replace(CONCEPT, `dataset.concepts.${number}`));
    const last = number === draft.concepts - 1;
    const tail = el(
      "div.row",
      {},
      number > 0 && button("Remove this concept", () => draft.removeConcept(number), { kind: "small", data: { action: "remove-concept" } }),
      last && button("Add a concept", () => draft.addConcept(), { kind: "small", data: { action: "add-concept" } }),
    );
    return sectionNode(app, section, paths.filter((path) => !elsewhere.includes(path)), {
      title: draft.concepts === 1 ? "Concept" : `Concept ${number + 1}`,
      pictures: number > 0 ? [`dataset.concepts.${number}.instance`] : [],
      tail,
    });
  }).flat();
}
