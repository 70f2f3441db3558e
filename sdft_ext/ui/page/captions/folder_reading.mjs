// Reads a folder's pictures and captions, in as many answers as it takes.

import { linksOf } from "../shared/folders.mjs";
import { thousands } from "../shared/numbers.mjs";

/** @import { Api } from "../shared/api.mjs" */
/** @import { App } from "../types.d.ts" */
/** @import { CaptionedPicture, OpenResponse } from "./types.d.ts" */

/**
 * Returns the first answer and all pictures. Raises ApiError.
 * @param {Pick<Api, "post">} api
 * @param {string} folder
 * @param {AbortSignal} signal
 * @param {(done: number, total: number) => void} progress called between two answers
 * @param {{ linked_folder?: string }} [links] where links in it may lead
 * @returns {Promise<FolderRead>}
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

/** @typedef {{ first: OpenResponse, pictures: CaptionedPicture[] }} FolderRead */

/** Reads folders, the one that was asked for last. */
export class FolderReader {
  #app;
  #act;
  /** @type {AbortController | null} */
  #opening = null;
  /** @type {AbortController | null} */
  #again = null;

  /**
   * `busy(text)` is told what is going on, `show(found)` takes over a folder that was read.
   * @param {App} app
   * @param {{ busy: (text: string) => void, show: (found: FolderRead) => void }} act
   */
  constructor(app, act) {
    this.#app = app;
    this.#act = act;
  }

  /**
   * Reads another folder, and shows it after `before()`. Raises ApiError.
   * @param {string} folder
   * @param {() => Promise<void>} before
   */
  async open(folder, before) {
    this.#opening?.abort();
    await this.#read(folder, (this.#opening = new AbortController()), async () => {
      await before();
      this.#again?.abort();
    });
  }

  /**
   * Reads the open folder again. Raises ApiError.
   * @param {string} folder
   */
  async again(folder) {
    this.#again?.abort();
    await this.#read(folder, (this.#again = new AbortController()));
  }

  /**
   * @param {string} folder
   * @param {AbortController} request
   * @param {() => Promise<void>} before
   */
  async #read(folder, request, before = async () => {}) {
    this.#act.busy("Reading the folder …");
    try {
      /** @param {number} done @param {number} total */
      const progress = (done, total) => this.#act.busy(`Reading the folder … ${thousands(done)} of ${thousands(total)}`);
      const found = await readFolder(this.#app.api, folder, request.signal, progress, linksOf(this.#app));
      await before();
      request.signal.throwIfAborted();
      this.#act.show(found);
    } finally {
      if ([this.#opening, this.#again].includes(request)) this.#act.busy("");
    }
  }
}
