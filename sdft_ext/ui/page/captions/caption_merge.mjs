// Merges what the server says about captions into what the page has.

/** @import { CaptionedPicture, CaptionRequest, Entries } from "./types.d.ts" */

/**
 * Puts changed pictures into `entries` and takes out those that are gone. An older revision than the one here is ignored.
 * @param {Entries} entries
 * @param {{ changed?: CaptionedPicture[], gone?: number[] }} found
 * @returns {{ ids: number[], added: boolean, gone: Set<number> }} which pictures have changed, whether some are new, which are gone
 */
export function mergeChanges(entries, found) {
  const ids = [];
  let added = false;
  for (const entry of found.changed ?? []) {
    const old = entries.get(entry.id);
    if (old && old.revision > entry.revision) continue;
    added ||= !old;
    entries.set(entry.id, entry);
    ids.push(entry.id);
  }
  const gone = new Set(found.gone ?? []);
  for (const id of gone) entries.delete(id);
  return { ids, added, gone };
}

/**
 * Returns the ids in the order of the pictures' names.
 * @param {Entries} entries
 */
export function idsByName(entries) {
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map((entry) => entry.id);
}

/**
 * Puts new token counts into `entries` and returns the ids whose count has changed.
 * @param {Entries} entries
 * @param {[number, number][]} counts each an id and its tokens
 */
export function mergeTokens(entries, counts) {
  const ids = [];
  for (const [id, tokens] of counts) {
    const entry = entries.get(id);
    if (!entry || entry.tokens === tokens) continue;
    entry.tokens = tokens;
    ids.push(id);
  }
  return ids;
}

/**
 * Translates a request about pictures to the ids they got when their folder was reopened. Returns null where it can't be
 * repeated: a picture is gone, or one that was to be changed at a known revision has another caption now.
 * @param {CaptionRequest} body
 * @param {Entries} before
 * @param {Entries} now
 */
export function renewRequest(body, before, now) {
  const byName = new Map([...now.values()].map((entry) => [entry.name, entry]));
  const old = body.ids?.map((id) => before.get(id));
  const renewed = old?.map((entry) => entry && byName.get(entry.name));
  if (renewed?.includes(undefined)) return null;
  const { revision, since, ...rest } = body;
  if (revision !== undefined && revision !== null && !renewed?.every((entry, i) => entry?.caption === old?.[i]?.caption)) return null;
  return { ...rest, ...(renewed ? { ids: renewed.map((entry) => entry?.id) } : {}) };
}
