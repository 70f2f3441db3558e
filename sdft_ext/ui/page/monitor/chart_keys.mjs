// What keys do on the loss chart.

/** How far an arrow key goes, and with Shift [steps of the log]. */
const STEP = 1;
const FAR = 10;

/**
 * Returns the place that a key leads to from place `now` of `length`; null where the key moves nothing.
 * @param {string} key
 * @param {number} now
 * @param {number} length
 * @param {boolean} far whether Shift is pressed
 */
export function placeAfterKey(key, now, length, far) {
  const by = far ? FAR : STEP;
  /** @type {Record<string, number>} */
  const places = { ArrowRight: now + by, ArrowUp: now + by, ArrowLeft: now - by, ArrowDown: now - by, PageUp: now + FAR, PageDown: now - FAR, Home: 0, End: length - 1 };
  if (!length || !(key in places)) return null;
  return Math.min(Math.max(places[key], 0), length - 1);
}

/**
 * Returns the steps in sight moved so far that a step is among them.
 * @param {{ min: number, max: number }} span
 * @param {number} step
 */
export function spanWith({ min, max }, step) {
  const by = step < min ? step - min : Math.max(step - max, 0);
  return { min: min + by, max: max + by };
}
