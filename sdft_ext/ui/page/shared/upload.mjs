// Sends files to a dataset: one request a file, with progress; nothing is in the dataset until all is there.

import { ApiError, part } from "./api.mjs";

/** So long nothing may move before a file counts as stuck (ms). */
const STUCK = 120_000;

/**
 * Sends `files`, a list of { name, blob }. `progress({ sent, total, file, files, name })` hears of it; `signal` ends it and
 * throws away what came. Returns what the server says: folder, pictures, captions, same, renamed, refused.
 */
export async function upload(app, { folder, name, files, progress = () => {}, signal }) {
  const begun = await app.api.post("datasets/uploads", { folder, name });
  const refused = [];
  const total = files.reduce((sum, file) => sum + file.blob.size, 0);
  let before = 0;
  try {
    for (const [place, file] of files.entries()) {
      const tell = (sent) => progress({ sent: before + sent, total, file: place + 1, files: files.length, name: file.name });
      tell(0);
      try {
        await send(app, `datasets/uploads/${part(begun.id)}/files`, file, tell, signal);
      } catch (error) {
        // One file that isn't taken doesn't keep the others from coming.
        if (error.status !== 400) throw error;
        refused.push(error.message);
      }
      before += file.blob.size;
    }
    progress({ sent: total, total, file: files.length, files: files.length, name: "" });
    const done = await app.api.post(`datasets/uploads/${part(begun.id)}/finish`);
    return { ...done, refused: [...refused, ...done.refused] };
  } catch (error) {
    // The server throws it away by itself, too, when nobody comes back.
    await app.api.post(`datasets/uploads/${part(begun.id)}/cancel`).catch(() => null);
    throw error;
  }
}

/** `fetch` tells no progress of what it sends; the older kind of request does. */
function send(app, path, file, tell, signal) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const stopped = () => failed(new DOMException("Cancelled", "AbortError"));
    if (signal?.aborted) return stopped();
    signal?.addEventListener("abort", stop, { once: true });
    let timer = 0;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(stop, STUCK);
    };
    request.open("POST", app.api.url(path, { name: file.name }));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-SDFT-Token", app.api.token);
    request.upload.addEventListener("progress", (event) => {
      alive();
      tell(event.loaded);
    });
    // Unpacking takes a while after the last byte.
    request.upload.addEventListener("load", () => clearTimeout(timer));
    request.addEventListener("load", () => {
      if (request.status < 300) return done();
      return failed(new ApiError(detail(request), request.status));
    });
    request.addEventListener("error", () => failed(new ApiError("The server does not answer: nothing was added. Send the pictures again.", 0)));
    request.addEventListener("abort", () => (signal?.aborted ? stopped() : failed(new ApiError("The server takes no more data: nothing was added. Send the pictures again.", 0))));
    request.addEventListener("loadend", () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    });
    alive();
    request.send(file.blob);
  });
}

function detail(request) {
  try {
    const { detail: sentence } = JSON.parse(request.responseText);
    if (typeof sentence === "string") return sentence;
  } catch {
    // An answer that is no JSON comes from something between page and server.
  }
  return request.status === 413 ? "Something between this page and the server refuses files of this size: send smaller ones." : `The server failed (${request.status}): its console says why.`;
}

/** The files of a drop, those in folders too, as { name, blob } with their folders' names. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((blob) => ({ name: blob.name, blob }));
  const found = [];
  const walk = async (entry, before) => {
    if (entry.isFile) {
      const blob = await new Promise((good, bad) => entry.file(good, bad));
      found.push({ name: `${before}${entry.name}`, blob });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      // A reader gives at most a hundred at once.
      const some = await new Promise((good, bad) => reader.readEntries(good, bad));
      if (!some.length) return;
      for (const one of some) await walk(one, `${before}${entry.name}/`);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return found;
}

/** The files of a file or folder dialog. */
export function picked(input) {
  return [...input.files].map((blob) => ({ name: blob.webkitRelativePath || blob.name, blob }));
}
