// A new run that goes on from a save, with other pictures.

import { part } from "./api.mjs";

/** @import { App, RunDetail, Save, Schema } from "../types.d.ts" */

/**
 * Finds the setting that names the file which a method continues from; undefined where it can't continue from one.
 * @param {Pick<Schema, "sections">} schema
 * @param {string} method
 */
export function continueSetting({ sections }, method) {
  const fields = sections.flatMap((section) => section.fields);
  return fields.find(({ path, methods }) => path.endsWith(".continue_from") && methods.includes(method))?.path;
}

/** Gives the name of the run after one of this name: "cat", "cat-2", "cat-3". @param {string} name */
export function nextName(name) {
  const [, stem, number] = /^(.*?)(?:-(\d{1,3}))?$/.exec(name) ?? ["", name];
  return `${stem}-${Number(number ?? 1) + 1}`;
}

/**
 * Loads a run's recipe to go on from one of its saves; the user chooses the pictures.
 * @param {App} app
 * @param {string} run
 * @param {Save} save
 */
export async function continueFrom(app, run, save) {
  /** @type {RunDetail} */
  const { recipe } = await app.api.get(`runs/${part(run)}`);
  const setting = continueSetting(app.schema, recipe.method.name);
  if (!setting) throw new Error(`A ${recipe.method.name} run can't continue from a file: load the save as the model, and start a new run.`);
  app.draft.load(recipe);
  /** Prompts that speak of other pictures go with these: the run proposes some of its own. @type {Record<string, string | string[]>} */
  const changes = { "watch.concept_prompts": [], "watch.bleeding_prompts": [], [setting]: save.path, "save.name": nextName(recipe.save.name) };
  for (let number = 0; number < app.draft.concepts; number++) changes[`dataset.concepts.${number}.instance`] = "";
  app.draft.setAll(changes);
  app.show("train");
  app.say(`The settings of ${recipe.save.name} are loaded, and the new run goes on from ${save.name}. Choose its pictures.`);
}
