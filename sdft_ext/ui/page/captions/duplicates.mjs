// Searches for duplicates among the pictures, in the background on the server, when somebody asks for them.

import { thousands } from "../shared/numbers.mjs";

/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { DuplicateSearch } from "./types.d.ts" */

/** Milliseconds between two questions about a search. */
const EVERY = 400;

/**
 * `say(text)` shows how far the search is.
 * @param {CaptionStore} store
 * @param {(text: string) => void} say
 */
export function duplicateSearch(store, say) {
  /** @type {Promise<void> | null} */
  let running = null;
  const search = async () => {
    const { opened } = store;
    try {
      for (let look = true; ; look = false) {
        /** @type {DuplicateSearch} */
        const found = await store.ask("copies", { look });
        if (found.state === "failed") throw new Error(found.message);
        if (found.state === "finished" || opened !== store.opened) return;
        say(found.total ? `Looking for duplicates … ${thousands(found.done)} of ${thousands(found.total)}` : "Looking for duplicates …");
        await new Promise((done) => setTimeout(done, EVERY));
      }
    } finally {
      running = null;
      say("");
    }
  };
  return {
    /** Resolves when the duplicates are known. */
    find() {
      running ??= search();
      return running;
    },
  };
}
