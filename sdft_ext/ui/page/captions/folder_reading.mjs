// Reads a folder's pictures and captions, in as many answers as it takes.

/** @import { Api } from "../shared/api.mjs" */
/** @import { CaptionedPicture, OpenResponse } from "./types.d.ts" */

/**
 * Returns the first answer and all pictures. Raises ApiError.
 * @param {Pick<Api, "post">} api
 * @param {string} folder
 * @param {AbortSignal} signal
 * @param {(done: number, total: number) => void} progress called between two answers
 * @param {{ linked_folder?: string }} [links] where links in it may lead
 * @returns {Promise<{ first: OpenResponse, pictures: CaptionedPicture[] }>}
 */
export async function readFolder(api, folder, signal, progress, links = {}) {
  /** @type {CaptionedPicture[]} */
  let pictures = [];
  /** @type {OpenResponse | null} */
  let first = null;
  let start = 0;
  for (;;) {
    /** @type {OpenResponse} */
    const found = await api.post("captions/open", { folder, start, ...links }, signal);
    first ??= found;
    if (found.opened !== first.opened) {
      // The server has reloaded the folder between two answers: begin again.
      pictures = [];
      first = null;
      start = 0;
      continue;
    }
    pictures = [...pictures, ...found.pictures];
    if (found.next === null) return { first, pictures };
    start = found.next;
    progress(pictures.length, found.total);
  }
}
