// A filter of captions, from the tags, words, lengths and kinds that are chosen, to the tree that the server reads.

import { plainTag } from "./tags.mjs";

/** @import { FilterTree, TagMode } from "./types.d.ts" */

/** The choice of no concept in particular; no folder has this name. */
export const ALL_CONCEPTS = "*";

/** Kinds of captions that are filtered by: name → the filter. `selected` stands for the ids of the moment. */
const KINDS = {
  empty: { empty: true },
  copies: { copies: true },
  selected: {},
  changed: { state: "changed" },
  conflict: { state: "conflict" },
};

/** @typedef {keyof typeof KINDS} Kind */

/**
 * @typedef {object} FilterChoice
 * @property {Map<string, TagMode>} tags how each tag counts
 * @property {string} text words in the caption or file name, or a regular expression
 * @property {boolean} regex
 * @property {string} low the least number of tokens; empty for none
 * @property {string} high the most
 * @property {string} concept
 * @property {Set<Kind>} kinds
 * @property {number[]} selected ids
 */

/**
 * Returns the filter as the server reads it; null shows all.
 * @param {FilterChoice} choice
 * @returns {FilterTree | null}
 */
export function filterTree({ tags, text, regex, low, high, concept, kinds, selected }) {
  /** @type {FilterTree[]} */
  const all = [...tagsWith(tags, "all"), ...tagsWith(tags, "none").map((tag) => ({ not: tag }))];
  const any = tagsWith(tags, "any");
  if (any.length) all.push({ any });
  if (text && regex) all.push({ regex: text });
  else if (text.trim()) all.push({ any: [{ text: text.trim() }, { name: text.trim() }] });
  const least = wholeNumber(low);
  const most = wholeNumber(high);
  if (least !== null || most !== null) all.push({ tokens: { ...(least !== null && { least }), ...(most !== null && { most }) } });
  if (concept !== ALL_CONCEPTS) all.push({ concept });
  for (const [kind, filter] of Object.entries(KINDS)) {
    if (kinds.has(/** @type {Kind} */ (kind))) all.push(kind === "selected" ? { ids: selected } : filter);
  }
  return all.length ? { all } : null;
}

/**
 * Says whether anything is chosen.
 * @param {Omit<FilterChoice, "regex" | "selected">} choice
 */
export function filters({ tags, text, low, high, concept, kinds }) {
  return tags.size > 0 || kinds.size > 0 || text !== "" || low.trim() !== "" || high.trim() !== "" || concept !== ALL_CONCEPTS;
}

/**
 * Returns how a tag counts after a click on it in the table: it is asked for, then left out, then it no longer counts.
 * @param {TagMode | null} mode
 * @returns {TagMode | null}
 */
export function turnedMode(mode) {
  return mode === null ? "all" : mode === "all" ? "none" : null;
}

/**
 * Returns the tags that pictures are asked to have, in lower case.
 * @param {Map<string, TagMode>} tags
 */
export function wantedTags(tags) {
  return new Set([...tags].filter(([, mode]) => mode !== "none").map(([tag]) => plainTag(tag)));
}

/**
 * @param {Map<string, TagMode>} tags
 * @param {TagMode} wanted
 */
function tagsWith(tags, wanted) {
  return [...tags].filter(([, mode]) => mode === wanted).map(([tag]) => ({ tag }));
}

/** @param {string} text */
function wholeNumber(text) {
  const value = text.trim();
  return /^\d+$/.test(value) ? Number(value) : null;
}
