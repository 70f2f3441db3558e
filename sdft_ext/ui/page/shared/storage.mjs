// What the browser keeps for this page. Without storage (switched off, full, a private window) everything else still works.

/** @typedef {() => Storage} Place `() => localStorage` or `() => sessionStorage`; even naming one may fail */

/** Reads a text; null where there is none. @param {Place} place @param {string} key */
export function readText(place, key) {
  try {
    return place().getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a text; null forgets it. @param {Place} place @param {string} key @param {string | null} text */
export function writeText(place, key, text) {
  try {
    if (text === null) place().removeItem(key);
    else place().setItem(key, text);
  } catch {
    // Nothing is kept: a reloaded page starts afresh.
  }
}

/** Reads a JSON value; null where none can be read. @param {Place} place @param {string} key @returns {unknown} */
export function readJson(place, key) {
  try {
    return JSON.parse(readText(place, key) ?? "null");
  } catch {
    return null;
  }
}

/** Keeps a JSON value. @param {Place} place @param {string} key @param {unknown} value */
export function writeJson(place, key, value) {
  writeText(place, key, JSON.stringify(value));
}
