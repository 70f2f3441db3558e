// Files by their paths: which ones a field accepts, and which names are free.

/** @import { ListedFile } from "./types.d.ts" */

const PICKLE = /\.(ckpt|pt|pth|bin)$/i;
/** A save's name ends with its step where it isn't the last one. */
const STEP = /-\d{6}$/;

/** Which files each kind of field accepts. @type {Record<string, (file: ListedFile) => boolean>} */
const ACCEPTED = {
  checkpoint: ({ kind }) => kind === "checkpoint",
  lora: ({ kind }) => kind === "lora",
  loras: ({ kind }) => kind === "lora",
  any: ({ path }) => !PICKLE.test(path),
  pickle: ({ path }) => PICKLE.test(path),
};

/**
 * Says whether a field of this kind takes a file.
 * @param {string} kind
 */
export const takesFile = (kind) => kind in ACCEPTED;

/**
 * Returns the files that a field accepts.
 * @param {ListedFile[]} files
 * @param {string} kind of the field
 */
export function acceptedFiles(files, kind) {
  return files.filter(ACCEPTED[kind] ?? (() => false));
}

/**
 * Returns a path's last part.
 * @param {string} path
 */
export function baseName(path) {
  return path.split(/[\\/]/).pop() ?? path;
}

/**
 * Returns a path's last part without its ending.
 * @param {string} path
 */
export function stem(path) {
  return baseName(path).replace(/\.[a-z]+$/i, "");
}

/**
 * Returns the name, or NAME-2 … where a file in a folder or below it has that name, or is a save of it.
 * @param {string} name
 * @param {ListedFile[]} files
 * @param {string} folder
 */
export function freeName(name, files, folder) {
  const names = files.filter(({ path }) => path.startsWith(folder)).map(({ path }) => stem(path).toLowerCase());
  const taken = new Set(names.flatMap((one) => [one, one.replace(STEP, "")]));
  for (let number = 1; ; number += 1) {
    const found = number === 1 ? name : `${name}-${number}`;
    if (!taken.has(found.toLowerCase())) return found;
  }
}
