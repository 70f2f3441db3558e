// What is said about pictures that are sent.

import { count, megabytes } from "../shared/numbers.mjs";

/** @import { Progress, Uploaded } from "../shared/upload.mjs" */
/** @import { App } from "../types.d.ts" */

const MEGABYTE = 2 ** 20;

/**
 * Returns the folder that pictures for a setting go into; empty for a new one. The examples' folders belong to the program.
 * @param {Pick<App, "draft" | "schema">} app
 * @param {string} path
 */
export function uploadFolder({ draft, schema }, path) {
  const folder = draft.text(path);
  const examples = Object.values(schema.examples).flatMap(({ settings }) => Object.entries(settings));
  return examples.some(([name, value]) => /\.(instance|regularization)$/.test(name) && value === folder) ? "" : folder;
}

/** Says where pictures go. @param {string} folder empty for a new one */
export function destinationText(folder) {
  if (!folder) return "They go into a new folder next to the runs. To use another, enter it above.";
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
  const added = [captions === 0 || pictures > 0 ? count(pictures, "picture", "pictures") : "", captions > 0 ? count(captions, "caption", "captions") : ""];
  const parts = [`${added.filter(Boolean).join(" and ")} added to ${folder}`];
  if (same) parts.push(`${count(same, "file was", "files were")} there already`);
  if (renamed) parts.push(`a number was added to ${renamed === 1 ? "one name that another picture has" : `${count(renamed, "name", "names")} that other pictures have`}`);
  return `${parts.join("; ")}.`;
}
