// Sends files to a dataset: one request a file, with progress; nothing is added to the dataset until all have arrived.

import { ApiError, part, sentenceOf } from "./api.mjs";

/** @import { App } from "../types.d.ts" */

/** How long nothing may move before a file counts as stuck (ms). */
const STUCK = 120_000;
const SEND_AGAIN = "Nothing was added. Send the pictures again.";

/** @typedef {{ name: string, blob: Blob }} NamedFile a file, its name with the folders before it */
/** @typedef {{ sent: number, total: number, file: number, files: number, name: string }} Progress bytes; `file` of `files` */
/**
 * What was added: see `POST datasets/uploads/ID/finish`.
 * @typedef {{ folder: string, pictures: number, captions: number, same: number, renamed: number, refused: string[] }} Uploaded
 */

/**
 * Sends files. Raises the error that ended it; what had arrived is then thrown away.
 * @param {App} app
 * @param {object} request
 * @param {string} request.folder the dataset's folder; empty for a new one
 * @param {string} request.name the new folder's name
 * @param {NamedFile[]} request.files
 * @param {(progress: Progress) => unknown} [request.progress]
 * @param {AbortSignal} [request.signal] cancels it
 * @returns {Promise<Uploaded>}
 */
export async function upload(app, { folder, name, files, progress = () => {}, signal }) {
  /** @type {{ id: string }} */
  const { id } = await app.api.post("datasets/uploads", { folder, name });
  const place = `datasets/uploads/${part(id)}`;
  try {
    const refused = await sendAll(app, `${place}/files`, files, progress, signal);
    /** @type {Uploaded} */
    const done = await app.api.post(`${place}/finish`);
    return { ...done, refused: [...refused, ...done.refused] };
  } catch (error) {
    // The server throws it away by itself, too, when nobody comes back.
    await app.api.post(`${place}/cancel`).catch(() => null);
    throw error;
  }
}

/**
 * Sends one file after another; returns the sentences about refused ones.
 * @param {App} app
 * @param {string} path
 * @param {NamedFile[]} files
 * @param {(progress: Progress) => unknown} progress
 * @param {AbortSignal} [signal]
 */
async function sendAll(app, path, files, progress, signal) {
  /** @type {string[]} */
  const refused = [];
  const total = files.reduce((sum, file) => sum + file.blob.size, 0);
  let before = 0;
  for (const [number, file] of files.entries()) {
    /** @param {number} sent */
    const report = (sent) => progress({ sent: before + sent, total, file: number + 1, files: files.length, name: file.name });
    report(0);
    try {
      await send(app, path, file, report, signal);
    } catch (error) {
      // A refused file doesn't stop the others.
      if (!(error instanceof ApiError) || error.status !== 400) throw error;
      refused.push(sentenceOf(error));
    }
    before += file.blob.size;
  }
  progress({ sent: total, total, file: files.length, files: files.length, name: "" });
  return refused;
}

/**
 * Sends one file. `fetch` reports no progress of what it sends; XMLHttpRequest does.
 * @param {App} app
 * @param {string} path
 * @param {NamedFile} file
 * @param {(sent: number) => unknown} report gets the bytes that were sent
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function send(app, path, file, report, signal) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const cancelled = () => failed(new DOMException("Cancelled", "AbortError"));
    if (signal?.aborted) return cancelled();
    signal?.addEventListener("abort", stop, { once: true });
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(stop, STUCK);
    };
    request.open("POST", app.api.url(path, { name: file.name }));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-SDFT-Token", app.api.token);
    request.upload.addEventListener("progress", (event) => {
      alive();
      report(event.loaded);
    });
    // Unpacking takes a while after the last byte.
    request.upload.addEventListener("load", () => clearTimeout(timer));
    request.addEventListener("load", () => {
      if (request.status < 300) return done();
      return failed(new ApiError(refusal(request.status, request.responseText), request.status));
    });
    request.addEventListener("error", () => failed(new ApiError(`The server doesn't answer. ${SEND_AGAIN}`, 0)));
    request.addEventListener("abort", () => (signal?.aborted ? cancelled() : failed(new ApiError(`The server stopped taking data. ${SEND_AGAIN}`, 0))));
    request.addEventListener("loadend", () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    });
    alive();
    request.send(file.blob);
    return undefined;
  });
}

/** Says why a file was refused: in the server's own words, or by the status. @param {number} status @param {string} text */
export function refusal(status, text) {
  try {
    const { detail } = JSON.parse(text);
    if (typeof detail === "string") return detail;
  } catch {
    // An answer that isn't JSON comes from something between page and server.
  }
  return status === 413 ? "Something between this page and the server refuses files of this size: send smaller ones." : `The server failed (${status}); its console says why.`;
}

/** Lists the files of a drop, those in folders too. @param {DataTransfer} transfer @returns {Promise<NamedFile[]>} */
export async function dropped(transfer) {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry?.() ?? []);
  if (!entries.length) return [...transfer.files].map((blob) => ({ name: blob.name, blob }));
  /** @type {NamedFile[]} */
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

/** Adds an entry's files to `found`. @param {FileSystemEntry} entry @param {string} folder @param {NamedFile[]} found */
async function walk(entry, folder, found) {
  if (entry.isFile) {
    /** @type {File} */
    const blob = await new Promise((done, failed) => /** @type {FileSystemFileEntry} */ (entry).file(done, failed));
    found.push({ name: `${folder}${entry.name}`, blob });
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    // A reader gives at most a hundred at once.
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const one of some) await walk(one, `${folder}${entry.name}/`, found);
  }
}

/** Lists the files of a file or folder dialog. @param {HTMLInputElement} input @returns {NamedFile[]} */
export function picked(input) {
  return [...(input.files ?? [])].map((blob) => ({ name: blob.webkitRelativePath || blob.name, blob }));
}
