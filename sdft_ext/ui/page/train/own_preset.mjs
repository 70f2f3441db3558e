// What a preset of the user changes in the draft.

/** @import { Draft } from "../shared/draft.mjs" */
/** @import { Value } from "../types.d.ts" */

/** They decide where a recipe starts, so they are set before the others are compared with the start. */
const FIRST = ["dataset.concepts.0.kind", "method.name"];

/**
 * Gives the draft the settings of a preset; pictures, words and names stay.
 * @param {Draft} draft
 * @param {Record<string, Value>} settings by path
 */
export function applyOwn(draft, settings) {
  draft.setAll(Object.fromEntries(FIRST.filter((path) => path in settings).map((path) => [path, settings[path]])));
  draft.setAll(settings);
}
