// Prompts for control pictures that follow the trigger and class word, until the user writes other ones.

import { same } from "../shared/draft.mjs";

/** @import { App, Value } from "../types.d.ts" */

const FIRST = "dataset.concepts.0.";
const PATHS = /** @type {const} */ ({ concept: "watch.concept_prompts", bleeding: "watch.bleeding_prompts" });

/** @typedef {{ concept: string[], bleeding: string[] }} Prompts with the concept, and without it */

/**
 * Suggests prompts; none as long as there is no trigger.
 * @param {{ kind: string, trigger: string, classWord: string }} concept
 * @returns {Prompts}
 */
export function suggestedPrompts({ kind, trigger, classWord }) {
  if (!trigger) return { concept: [], bleeding: [] };
  if (kind === "style") {
    return { concept: [`a house in ${trigger} style`, `a cat in ${trigger} style`], bleeding: ["a house", "a cat"] };
  }
  const named = [trigger, classWord].filter(Boolean).join(" ");
  return {
    concept: [`a ${named}`, `a ${named} on a beach`],
    bleeding: classWord ? [`a ${classWord}`, `a ${classWord} on a beach`, ""] : [""],
  };
}

/**
 * Says which settings a new suggestion changes: those that hold nothing, or the former suggestion.
 * @param {Prompts} before
 * @param {Prompts} now
 * @param {(path: string) => Value | undefined} get reads a setting
 * @returns {Record<string, string[]>} by path
 */
export function promptChanges(before, now, get) {
  /** @type {Record<string, string[]>} */
  const changes = {};
  for (const set of /** @type {const} */ (["concept", "bleeding"])) {
    const current = get(PATHS[set]);
    const free = (Array.isArray(current) && current.length === 0) || same(current, before[set]);
    if (!same(now[set], before[set]) && free) changes[PATHS[set]] = now[set];
  }
  return changes;
}

/**
 * Keeps the suggested prompts in the draft. Returns what follows its changes.
 * @param {App} app
 * @returns {(paths: string[] | null) => void}
 */
export function suggestPrompts({ draft }) {
  const suggested = () =>
    suggestedPrompts({ kind: draft.text(`${FIRST}kind`), trigger: draft.text(`${FIRST}trigger`), classWord: draft.text(`${FIRST}class_word`) });
  let before = suggested();
  return (paths) => {
    const now = suggested();
    const changes = promptChanges(before, now, (path) => draft.get(path));
    before = now;
    if (paths && Object.keys(changes).length) draft.setAll(changes);
  };
}
