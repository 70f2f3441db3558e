// What is said about pictures that are sent.

import { count, megabytes } from "../shared/numbers.mjs";

/** @import { Progress, Uploaded } from "../shared/upload.mjs" */

const MEGABYTE = 2 ** 20;

/** Says where pictures go. @param {string} folder empty for a new one */
export function destinationText(folder) {
  if (!folder) return "They go into a new folder next to the runs; enter a folder above to choose another.";
  return `They go into ${folder}. Captions (.txt) and masks next to the pictures are added too; no file there is overwritten.`;
}

/** Names a new folder. @param {string} concept @param {string} target "instance" or "regularization" */
export function newFolderName(concept, target) {
  return `${concept || "pictures"}${target === "regularization" ? " regularization" : ""}`;
}

/** Says how much is sent: as a share and in words. @param {Progress} progress */
export function uploadProgress({ sent, total, file, files, name }) {
  const share = total ? sent / total : 1;
  const text = `${file} of ${files} · ${megabytes(sent / MEGABYTE)} of ${megabytes(total / MEGABYTE)}${name ? ` · ${name}` : ""}`;
  return { share, text: share >= 1 ? "Checking what has arrived …" : text };
}

/** Says what was added. @param {Pick<Uploaded, "pictures" | "captions" | "same" | "renamed" | "folder">} done */
export function resultText({ pictures, captions, same, renamed, folder }) {
  const parts = [`${count(pictures, "picture", "pictures")} and ${count(captions, "caption", "captions")} added to ${folder}`];
  if (same) parts.push(`${count(same, "file was", "files were")} there already`);
  if (renamed) parts.push(`a number was added to the name of ${count(renamed, "picture", "pictures")}, as another picture has that name`);
  return `${parts.join("; ")}.`;
}
