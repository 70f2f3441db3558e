// Captions that were typed and haven't reached the server. They are kept in the browser too: neither a failed request nor a reload loses them.

import { readJson, writeJson, writeText } from "../shared/storage.mjs";

/** @import { Place } from "../shared/storage.mjs" */
/** @import { Entries } from "./types.d.ts" */

const KEPT = "sdft.captions.typed";

export class UnsentTexts {
  /** @type {Map<number, { text: string, revision: number }>} */
  #texts = new Map();
  #place;

  /** @param {Place} place a storage of the browser */
  constructor(place = () => localStorage) {
    this.#place = place;
  }

  get size() {
    return this.#texts.size;
  }

  /** @param {number} id */
  text(id) {
    return this.#texts.get(id)?.text;
  }

  /**
   * Returns the revision of the caption that was typed over.
   * @param {number} id
   */
  revision(id) {
    return this.#texts.get(id)?.revision;
  }

  /** Returns [id, text] for each. */
  list() {
    return /** @type {[number, string][]} */ ([...this.#texts].map(([id, { text }]) => [id, text]));
  }

  /**
   * Remembers a text. The revision of the first one for a picture stays.
   * @param {number} id
   * @param {string} text
   * @param {number} revision
   */
  set(id, text, revision) {
    this.#texts.set(id, { text, revision: this.revision(id) ?? revision });
  }

  /**
   * Takes the caption of this revision as the one that was typed over.
   * @param {number} id
   * @param {number} revision
   */
  rebase(id, revision) {
    const kept = this.#texts.get(id);
    if (kept) kept.revision = revision;
  }

  /**
   * Forgets a text; returns whether there was one.
   * @param {number} id
   */
  delete(id) {
    return this.#texts.delete(id);
  }

  /**
   * Writes the folder's texts to the browser's storage, by the pictures' names; those of other folders stay there.
   * @param {string} folder
   * @param {Entries} entries
   */
  keep(folder, entries) {
    const names = this.list()
      .map(([id, text]) => [entries.get(id)?.name, text])
      .filter(([name]) => name !== undefined);
    const { [folder]: _, ...others } = this.#kept();
    const kept = names.length ? { ...others, [folder]: names } : others;
    if (Object.keys(kept).length) writeJson(this.#place, KEPT, kept);
    else writeText(this.#place, KEPT, null);
  }

  /**
   * Reads the texts that were kept for a folder; those that are the caption by now are dropped.
   * @param {string} folder
   * @param {Entries} entries
   */
  restore(folder, entries) {
    this.#texts.clear();
    const names = this.#kept()[folder];
    if (!Array.isArray(names)) return;
    const pairs = /** @type {[unknown, unknown][]} */ (names.filter(Array.isArray));
    const texts = new Map(pairs);
    for (const entry of entries.values()) {
      const text = texts.get(entry.name);
      if (typeof text === "string" && text !== entry.caption) this.#texts.set(entry.id, { text, revision: entry.revision });
    }
  }

  /** Returns what the browser keeps: pairs of a picture's name and its text, by folder. */
  #kept() {
    const kept = readJson(this.#place, KEPT);
    return kept instanceof Object ? /** @type {Record<string, unknown>} */ (kept) : {};
  }
}
