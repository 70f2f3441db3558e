// The settings with which a run goes on, as its user changes them: those that differ from the run's own.

import { at } from "./draft.mjs";

/** @import { Field, Recipe, Schema, Value } from "../types.d.ts" */

/**
 * Returns the settings that a run can be resumed with, in the recipe's order: its state doesn't depend on them.
 * @param {Pick<Schema, "sections">} schema
 * @param {string} method the run's
 * @returns {Field[]}
 */
export function changeable({ sections }, method) {
  const fields = sections.flatMap((section) => section.fields);
  return fields.filter((field) => field.at_resume && (!field.methods.length || field.methods.includes(method)));
}

/**
 * Returns the paths of those settings that a run's message names, so that its button can lead there.
 * @param {string} message
 * @param {Field[]} fields
 */
export function namedSettings(message, fields) {
  return fields.map((field) => field.path).filter((path) => new RegExp(`(^|[^\\w.])${path.replaceAll(".", "\\.")}(?![\\w])`).test(message));
}

/** What the inputs of settings write into, in place of the page's own recipe. */
export class ResumeChanges {
  #recipe;
  /** @type {Map<string, Value>} */
  #values = new Map();
  /** A sentence for each setting whose input can't be read. @type {Map<string, string>} */
  invalid = new Map();
  /** Called after each change. */
  changed = () => {};

  /** @param {Recipe} recipe the run's */
  constructor(recipe) {
    this.#recipe = recipe;
  }

  /** @param {string} path @returns {Value | undefined} */
  get(path) {
    return this.#values.has(path) ? this.#values.get(path) : at(this.#recipe, path);
  }

  /** @param {string} path @param {Value} value */
  set(path, value) {
    this.invalid.delete(path);
    if (JSON.stringify(value) === JSON.stringify(at(this.#recipe, path))) this.#values.delete(path);
    else this.#values.set(path, value);
    this.changed();
  }

  /** Notes that a setting's input can't be read. @param {string} path @param {string} problem */
  mark(path, problem) {
    this.invalid.set(path, problem);
    this.changed();
  }

  /** What to send: the settings that differ, by path. @returns {Record<string, Value>} */
  get settings() {
    return Object.fromEntries(this.#values);
  }
}
