// The recipe that is being written: what differs from its start, by path, kept in the browser.
//
// The start is the program's defaults with the settings that are known to work for the loaded model, the kind of concept and
// the method (presets), so that a newcomer who only chooses pictures gets those.

import { readJson, writeJson } from "./storage.mjs";

/** @import { Field, Recipe, Schema, Value } from "../types.d.ts" */

const KEPT = "sdft.recipe.1";
const FIRST = "dataset.concepts.0.";
const KIND = `${FIRST}kind`;
const METHOD = "method.name";
const CONCEPT = /^dataset\.concepts\.(\d+)\.(.+)$/;
const storage = () => localStorage;

/** Whether two values are the same setting. @param {unknown} a @param {unknown} b */
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export class Draft {
  /** @type {Map<string, Value>} */
  #values = new Map();
  /** @type {Map<string, Value>} */
  #defaults = new Map();
  /** @type {Set<(paths: string[] | null) => unknown>} */
  #listeners = new Set();
  #concepts = 1;
  /** Settings whose control holds something that can't be read: path → sentence. @type {Map<string, string>} */
  invalid = new Map();

  /** @param {Schema} schema */
  constructor(schema) {
    this.schema = schema;
    this.fields = new Map(schema.sections.flatMap((section) => section.fields).map((field) => [field.path, field]));
    this.#restore();
    this.#start();
  }

  /** Decides where a recipe for this kind of concept and this method starts. What the user has set stays. */
  #start() {
    const kind = this.#values.get(KIND) ?? at(this.schema.defaults, KIND);
    const method = this.#values.get(METHOD) ?? at(this.schema.defaults, METHOD) ?? this.fields.get(METHOD)?.default;
    this.#defaults = startingValues(this.schema, this.fields, kind, method);
  }

  /** Finds the field that a path belongs to; all concepts share those of the first. @param {string} path */
  field(path) {
    return this.fields.get(path.replace(CONCEPT, `${FIRST}$2`));
  }

  /** Gives the field of a path that is known to have one. Raises RangeError. @param {string} path @returns {Field} */
  fieldOf(path) {
    const field = this.field(path);
    if (!field) throw new RangeError(`There is no setting ${path}.`);
    return field;
  }

  /** @param {string} path @returns {Value | undefined} */
  default(path) {
    const match = CONCEPT.exec(path);
    if (match && match[1] !== "0") return this.field(path)?.default;
    return this.#defaults.get(path);
  }

  /** @param {string} path @returns {Value | undefined} */
  get(path) {
    return this.#values.has(path) ? this.#values.get(path) : this.default(path);
  }

  /** Gives a setting as text without spaces around it; empty where it has no value. @param {string} path */
  text(path) {
    return String(this.get(path) ?? "").trim();
  }

  /** @param {string} path */
  changed(path) {
    return this.#values.has(path) && !same(this.#values.get(path), this.default(path));
  }

  get changes() {
    return [...this.#values.keys()].filter((path) => this.changed(path));
  }

  get concepts() {
    return this.#concepts;
  }

  /** @param {string} path @param {Value} value */
  set(path, value) {
    this.setAll({ [path]: value });
  }

  /** Sets several settings at once; listeners are called once. @param {Record<string, Value>} values by path */
  setAll(values) {
    const touched = [];
    for (const [path, value] of Object.entries(values)) {
      if (!this.field(path)) continue;
      const number = Number(CONCEPT.exec(path)?.[1] ?? 0);
      if (number >= this.#concepts) this.#concepts = number + 1;
      this.invalid.delete(path);
      if (same(value, this.default(path))) this.#values.delete(path);
      else this.#values.set(path, structuredClone(value));
      touched.push(path);
    }
    this.#changed(touched);
  }

  /** @param {string} path */
  reset(path) {
    this.invalid.delete(path);
    this.#values.delete(path);
    this.#changed([path]);
  }

  clear() {
    this.#values.clear();
    this.invalid.clear();
    this.#concepts = 1;
    this.#changed([KIND, METHOD]);
  }

  /**
   * Another kind of concept, or another method, starts elsewhere: all settings may show another value then.
   * @param {string[]} paths
   */
  #changed(paths) {
    if (!paths.includes(KIND) && !paths.includes(METHOD)) return this.#notify(paths);
    this.#start();
    return this.#notify([...new Set([...this.fields.keys(), ...this.#values.keys(), ...paths])]);
  }

  addConcept() {
    this.#concepts += 1;
    this.#notify(null);
  }

  /** @param {number} number */
  removeConcept(number) {
    this.#values = new Map(withoutConcept([...this.#values], number));
    this.#concepts = Math.max(1, this.#concepts - 1);
    this.#notify(null);
  }

  /** Marks what a control holds as unreadable, or readable again. @param {string} path @param {string} sentence */
  mark(path, sentence) {
    if (sentence) this.invalid.set(path, sentence);
    else this.invalid.delete(path);
    this.#notify([path]);
  }

  /** Gives the recipe as it is sent: nested, without what has the program's default. @returns {Recipe} */
  nested() {
    /** @type {Recipe} */
    const recipe = { dataset: { concepts: Array.from({ length: this.#concepts }, () => ({})) } };
    const paths = new Set([...this.#defaults.keys(), ...this.#values.keys()]);
    for (const path of paths) {
      const value = this.get(path);
      if (!same(value, this.field(path)?.default)) put(recipe, path, value);
    }
    return recipe;
  }

  /** Replaces the draft by a whole recipe, such as a run's. @param {Recipe} recipe */
  load(recipe) {
    this.#values.clear();
    this.invalid.clear();
    const concepts = recipe.dataset?.concepts ?? [];
    this.#concepts = Math.max(1, concepts.length);
    for (const path of [KIND, METHOD]) this.#values.set(path, at(recipe, path) ?? this.fieldOf(path).default);
    this.#start();
    for (const [path, field] of this.fields) {
      const paths = path.startsWith(FIRST)
        ? Array.from({ length: this.#concepts }, (_, i) => path.replace(FIRST, `dataset.concepts.${i}.`))
        : [path];
      for (const one of paths) {
        const value = at(recipe, one) ?? field.default;
        if (!same(value, this.default(one))) this.#values.set(one, structuredClone(value));
      }
    }
    this.#notify(null);
  }

  /**
   * Calls `listener(paths)` with the settings that have changed; null: all of them may have. Returns what ends that.
   * @param {(paths: string[] | null) => unknown} listener
   */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param {string[] | null} paths */
  #notify(paths) {
    writeJson(storage, KEPT, { concepts: this.#concepts, values: [...this.#values] });
    for (const listener of [...this.#listeners]) listener(paths);
  }

  #restore() {
    const kept = /** @type {{ concepts?: unknown, values?: unknown } | null} */ (readJson(storage, KEPT));
    // What an older page has kept can't always be read: then the defaults are the start.
    if (!kept || !Array.isArray(kept.values) || !kept.values.every(Array.isArray)) return;
    this.#concepts = Math.max(1, Number(kept.concepts) || 1);
    for (const [path, value] of kept.values) if (this.field(String(path))) this.#values.set(path, value);
  }
}

/**
 * Merges the defaults with the preset for a kind of concept and a method, and with the normal length.
 * @param {Schema} schema
 * @param {Map<string, Field>} fields
 * @param {Value | undefined} kind
 * @param {Value | undefined} method
 * @returns {Map<string, Value>} by path
 */
export function startingValues({ defaults, presets, thorough }, fields, kind, method) {
  /** @type {Map<string, Value>} */
  const start = new Map([...fields].map(([path, field]) => [path, at(defaults, path) ?? field.default]));
  const ofKind = presets.filter((one) => one.settings[KIND] === kind);
  const preset = ofKind.find((one) => one.settings[METHOD] === method) ?? ofKind[0];
  const length = thorough.find((one) => one.name === "normal");
  for (const one of [preset, length]) {
    for (const [path, value] of Object.entries(one?.settings ?? {})) if (path !== KIND && path !== METHOD && start.has(path)) start.set(path, value);
  }
  return start;
}

/**
 * Leaves out a concept's values, and moves those of the following ones up.
 * @template V
 * @param {[string, V][]} values by path
 * @param {number} number
 * @returns {[string, V][]}
 */
export function withoutConcept(values, number) {
  const kept = values.filter(([path]) => Number(CONCEPT.exec(path)?.[1] ?? -1) !== number);
  return kept.map(([path, value]) => [path.replace(CONCEPT, (_, own, name) => `dataset.concepts.${own > number ? own - 1 : own}.${name}`), value]);
}

/**
 * Gives the value at a dotted path, or undefined.
 * @param {unknown} nested a recipe, or a part of one
 * @param {string} path
 * @returns {Value | undefined}
 */
export function at(nested, path) {
  let value = nested;
  for (const name of path.split(".")) value = typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
  return /** @type {Value | undefined} */ (value);
}

/** Sets the value at a dotted path. @param {Recipe} nested @param {string} path @param {unknown} value */
export function put(nested, path, value) {
  const names = path.split(".");
  const last = names.pop() ?? "";
  let place = nested;
  for (const name of names) place = place[name] ??= {};
  place[last] = value;
}
