// Every other setting, folded under the recipe's headings, with a search, presets, and the recipe as a file.

import { settingField } from "../shared/field.mjs";
import { contents } from "./pictures.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { dialog } from "../shared/dialog.mjs";

const CONCEPT = "dataset.concepts.0";

export function settings(app, elsewhere) {
  const search = el("input.input.search", { type: "search", placeholder: "Search the settings", "aria-label": "Search the settings" });
  const onlyChanged = el("input", { type: "checkbox", data: { action: "only-changed" } });
  const none = el("p.quiet", { hidden: true }, "No setting has these words.");
  const resetAll = button("Reset all", () => app.draft.clear(), { kind: "link", data: { action: "reset-all" } });
  const list = el("div.sections");
  let drawn = -1;

  const draw = () => {
    drawn = app.draft.concepts;
    fill(list, app.schema.sections.flatMap((section) => (section.repeated ? concepts(app, section, elsewhere) : [sectionNode(app, section, section.fields.map((field) => field.path), elsewhere)])));
    filter();
  };
  let method = "";
  const filter = () => {
    method = app.draft.get("method.name");
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const filtering = words.length > 0 || onlyChanged.checked;
    let any = false;
    for (const section of list.children) {
      let found = 0;
      for (const field of section.querySelectorAll("[data-path]")) {
        const { path } = field.dataset;
        const { label, help } = app.draft.field(path);
        const text = `${label} ${help} ${path} ${section.dataset.label}`.toLowerCase();
        const wanted = used(app, path) && words.every((word) => text.includes(word)) && (!onlyChanged.checked || app.draft.changed(path));
        field.hidden = !wanted;
        found += wanted ? 1 : 0;
      }
      section.hidden = found === 0 && filtering;
      if (filtering && found) section.open = true;
      any ||= found > 0;
    }
    none.hidden = any || !filtering;
  };
  const follow = () => {
    if (drawn !== app.draft.concepts) draw();
    for (const section of list.children) {
      const changed = [...section.querySelectorAll("[data-path]")].filter((field) => app.draft.changed(field.dataset.path)).length;
      const mark = section.querySelector("summary [data-role=changed]");
      mark.textContent = changed ? `${changed} changed` : "";
    }
    resetAll.hidden = app.draft.changes.length === 0;
    if (onlyChanged.checked || app.draft.get("method.name") !== method) filter();
  };
  search.addEventListener("input", filter);
  onlyChanged.addEventListener("change", filter);

  const node = el(
    "section.card.settings",
    { "aria-label": "All settings" },
    el("div.row.wrap", {}, el("h2.title", {}, "All settings"), el("span.spring"), presets(app), button("Load a recipe…", () => loadRecipe(app), { kind: "small", data: { action: "load-recipe" } }), button("Show as YAML", () => showYaml(app), { kind: "small", data: { action: "yaml" } })),
    el("div.row.wrap", {}, search, el("label.check", {}, onlyChanged, el("span", {}, "Only changed ones")), resetAll),
    none,
    list,
  );
  app.whenDraft(node, follow);
  draw();
  follow();
  return {
    node,
    unfilter() {
      search.value = "";
      onlyChanged.checked = false;
      filter();
    },
  };
}

/** Whether the chosen method uses a setting. */
function used(app, path) {
  const { methods = [] } = app.draft.field(path);
  return methods.length === 0 || methods.includes(app.draft.get("method.name"));
}

function sectionNode(app, section, paths, elsewhere, { title = section.label, tail = null, pictures = [] } = {}) {
  const shown = paths.filter((path) => !elsewhere.includes(path));
  if (!shown.length && !tail) return [];
  return el(
    "details.section",
    { data: { section: section.path, label: title } },
    el("summary", {}, el("span.section-name", {}, title), el("span.quiet", {}, section.help), el("span.spring"), el("span.changed-count", { data: { role: "changed" } })),
    el("div.fields", {}, shown.map((path) => settingField(app, path))),
    pictures.map((path) => contents(app, path, 8)),
    tail,
  );
}

/** A section for each concept; the first one's folders and words stand among the five choices. */
function concepts(app, section, elsewhere) {
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
    return sectionNode(app, section, paths, elsewhere, {
      title: draft.concepts === 1 ? "Concept" : `Concept ${number + 1}`,
      pictures: number > 0 ? [`dataset.concepts.${number}.instance`] : [],
      tail,
    });
  }).flat();
}

function presets(app) {
  if (!app.schema.presets.length) return null;
  const select = el(
    "select.input.small",
    { "aria-label": "Preset", data: { action: "preset" } },
    el("option", { value: "" }, "Preset …"),
    app.schema.presets.map((preset) => el("option", { value: preset.name, title: preset.help }, preset.label)),
  );
  select.addEventListener("change", () => {
    const preset = app.schema.presets.find((one) => one.name === select.value);
    select.value = "";
    if (!preset) return;
    app.draft.setAll(preset.settings);
    app.say(`${preset.label}: ${preset.help}`);
  });
  return select;
}

async function loadRecipe(app) {
  const recipe = await dialog(app, "Load a recipe", (close) => {
    const text = el("textarea.input.yaml", { rows: 14, spellcheck: "false", "aria-label": "Recipe as YAML", placeholder: "Paste a recipe.yaml, or choose a file." });
    const file = el("input", { type: "file", accept: ".yaml,.yml,.txt", "aria-label": "Recipe file" });
    const problem = el("p.problem", { role: "alert", hidden: true });
    file.addEventListener("change", async () => {
      if (file.files.length) text.value = await file.files[0].text();
    });
    const load = async () => {
      try {
        close((await app.api.post("recipe", { yaml: text.value })).recipe);
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      }
    };
    return el("div.stack", {}, file, text, problem, el("div.row.end", {}, button("Cancel", () => close()), button("Load", load, { kind: "primary", data: { action: "load" } })));
  }, { wide: true });
  if (recipe) app.draft.load(recipe);
}

async function showYaml(app) {
  await app.attempt(async () => {
    const { yaml } = await app.api.post("recipe", { recipe: app.draft.nested() });
    await dialog(app, "The recipe as YAML", () => {
      const text = el("textarea.input.yaml", { rows: 22, spellcheck: "false", readonly: true, value: yaml, "aria-label": "Recipe as YAML" });
      const copy = button("Copy", async () => {
        text.select();
        try {
          await navigator.clipboard.writeText(yaml);
          copy.textContent = "Copied";
        } catch {
          copy.textContent = "Press Ctrl+C";
        }
      });
      return el("div.stack", {}, text, el("div.row.end", {}, copy));
    }, { wide: true });
  });
}
