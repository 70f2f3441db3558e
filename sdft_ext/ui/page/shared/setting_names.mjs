// Sentences of the server name settings and their values as the recipe's file does; the page shows their labels.

import { choiceLabel } from "./setting_text.mjs";

/** @import { App, Field } from "../types.d.ts" */

/**
 * What the page calls settings and their values.
 * @typedef {object} Names
 * @property {(path: string) => Pick<Field, "label"> & Partial<Field> | undefined} field finds a setting's field
 * @property {(path: string, value: string) => string} value writes one of a setting's choices
 */

const PATHS = /[a-z_]+(?:\.[a-z_0-9]+|\[\d+\])+/g;
const JOINT = /^(=| is | to )(?=['"]?\w)/;
const FIRST_VALUE = /^(['"]?)(\w+)\1(?!\.\w)/;
/** A further value in "lora, dora or loha". */
const NEXT_VALUE = /^(, | or )(\w+)(?!\.\w)/;

const METHOD = "method.name";

/** @param {Pick<App, "draft" | "schema">} app @returns {Names} */
export function namesOf({ draft, schema }) {
  return {
    field: (path) => draft.field(path),
    value: (path, value) => (path === METHOD && schema.methods.find(({ name }) => name === value)?.label) || valueLabel(value),
  };
}

/** @param {string} value */
const valueLabel = (value) => (value === "true" ? "on" : value === "false" ? "off" : choiceLabel(value));

/** Finds the first setting that a sentence names; its path. @param {string} sentence @param {Names} names */
export function settingNamed(sentence, names) {
  return (sentence.match(PATHS) ?? []).map((text) => settingAt(text, names)).find(Boolean);
}

/**
 * Replaces paths by labels. A sentence that begins with the label of its own setting and a colon loses both: it is shown with
 * that setting.
 * @param {string} sentence
 * @param {string} path the setting that it is about
 * @param {Names} names
 */
export function withLabels(sentence, path, names) {
  const label = names.field(path)?.label ?? path;
  const text = inWords(sentence, names);
  return text.startsWith(`${label}: `) ? text.slice(label.length + 2) : text;
}

/**
 * Replaces the paths of settings by their labels, in quotes within the sentence, and their values by the names of choices.
 * @param {string} sentence
 * @param {Names} names
 */
export function inWords(sentence, names) {
  let written = "";
  let rest = sentence;
  for (let match = rest.match(PATHS)?.[0]; match; match = rest.match(PATHS)?.[0]) {
    const place = rest.indexOf(match);
    const field = names.field(settingAt(match, names) ?? "");
    const before = written + rest.slice(0, place);
    rest = rest.slice(place + match.length);
    const value = field && valuesAt(rest, field, names);
    if (value) rest = rest.slice(value.length);
    const label = field ? (before ? `“${field.label}”` : field.label) : match;
    written = before + (value?.alone ? value.text : label + (value?.text ?? ""));
  }
  return written + rest;
}

/**
 * Reads the choices that follow a setting's path: "=steps", " is lora", " to lora, dora or loha"; null where none do.
 * @param {string} text
 * @param {Partial<Field>} field
 * @param {Names} names
 * @returns {{ text: string, length: number, alone: boolean } | null} alone: it stands for the setting, too
 */
function valuesAt(text, field, names) {
  const joint = JOINT.exec(text)?.[1];
  const first = joint && FIRST_VALUE.exec(text.slice(joint.length));
  if (!joint || !first || !isChoice(field, first[2])) return null;
  const label = (/** @type {string} */ value) => names.value(field.path ?? "", value);
  const alone = joint === "=" && field.path === METHOD;
  let length = joint.length + first[0].length;
  let written = (alone ? "" : joint === "=" ? " set to " : joint) + label(first[2]);
  for (let next = NEXT_VALUE.exec(text.slice(length)); next && isChoice(field, next[2]); next = NEXT_VALUE.exec(text.slice(length))) {
    written += next[1] + label(next[2]);
    length += next[0].length;
  }
  return { text: written, length, alone };
}

/** @param {Partial<Field>} field @param {string} value */
function isChoice({ choices = [], type }, value) {
  return choices.includes(value) || (type === "bool" && (value === "true" || value === "false"));
}

/** @param {string} text @param {Names} names */
function settingAt(text, names) {
  const path = text.replace(/\[(\d+)\]/g, ".$1").replace(/^concepts\./, "dataset.concepts.");
  // A sentence may name one line of a list.
  return [path, path.replace(/\.\w+$/, "")].find((one) => names.field(one));
}
