// Which settings a search finds.

/** @import { Field } from "../types.d.ts" */

/** Splits what is typed into the words that a setting must have. @param {string} typed */
export function searchWords(typed) {
  return typed.toLowerCase().split(/\s+/).filter(Boolean);
}

/**
 * Whether a setting has all of the words, in its label, help, path or the name of its section.
 * @param {Pick<Field, "label" | "help">} field
 * @param {string} path
 * @param {string} section
 * @param {string[]} words in lower case
 */
export function matches({ label, help }, path, section, words) {
  const text = `${label} ${help} ${path} ${section}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Whether a method uses a setting. @param {Pick<Field, "methods">} field @param {string} method */
export function usedBy({ methods = [] }, method) {
  return methods.length === 0 || methods.includes(method);
}
