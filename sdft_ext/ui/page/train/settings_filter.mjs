// Which settings a search finds.

/** @import { Field } from "../types.d.ts" */

/**
 * Returns the text of a setting in which a search looks for its words.
 * @param {Pick<Field, "label" | "help">} field
 * @param {string} path
 * @param {string} section its section's name
 */
export function searchedText({ label, help }, path, section) {
  return `${label} ${help} ${path} ${section}`;
}

/** Whether a method uses a setting. @param {Pick<Field, "methods">} field @param {string} method */
export function usedBy({ methods = [] }, method) {
  return methods.length === 0 || methods.includes(method);
}
