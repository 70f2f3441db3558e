// The recipe as a file: loaded from YAML, and shown as YAML.

import { sentenceOf } from "../shared/api.mjs";
import { copyButton } from "../shared/copy.mjs";
import { dialog } from "../shared/dialog.mjs";
import { button, el } from "../shared/dom.mjs";

/** @import { App, Recipe } from "../types.d.ts" */

/** @typedef {{ recipe: Recipe, yaml: string }} Forms the answer of `POST recipe` */

/** Asks for a recipe, and loads it into the draft. @param {App} app */
export async function loadRecipe(app) {
  /** @type {Recipe | null} */
  const recipe = await dialog(app, "Load a recipe", (close) => {
    const text = el("textarea.input.yaml", { rows: 14, spellcheck: "false", "aria-label": "Recipe as YAML", placeholder: "Paste a recipe.yaml, or choose a file." });
    const input = el("input", { type: "file", accept: ".yaml,.yml,.txt", "aria-label": "Recipe file" });
    const problem = el("p.problem", { role: "alert", hidden: true });
    input.addEventListener("change", async () => {
      const file = input.files?.[0];
      if (file) text.value = await file.text();
    });
    const load = async () => {
      try {
        /** @type {Forms} */
        const forms = await app.api.post("recipe", { yaml: text.value });
        close(forms.recipe);
      } catch (error) {
        problem.textContent = sentenceOf(error);
        problem.hidden = false;
      }
    };
    const buttons = [button("Cancel", () => close()), button("Load", load, { kind: "primary", data: { action: "load" } })];
    return el("div.stack", {}, input, text, problem, el("div.row.end", {}, buttons));
  }, { wide: true });
  if (recipe) app.draft.load(recipe);
}

/** Shows the draft as YAML. @param {App} app */
export async function showYaml(app) {
  await app.attempt(async () => {
    /** @type {Forms} */
    const { yaml } = await app.api.post("recipe", { recipe: app.draft.nested() });
    await dialog(app, "The recipe as YAML", () => {
      const text = el("textarea.input.yaml", { rows: 22, spellcheck: "false", readonly: true, value: yaml, "aria-label": "Recipe as YAML" });
      return el("div.stack", {}, text, el("div.row.end", {}, copyButton(text, yaml, { kind: "plain" })));
    }, { wide: true });
  });
}
