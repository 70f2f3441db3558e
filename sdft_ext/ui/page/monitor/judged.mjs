// What the judge says of a step's control pictures, in words.

/** @import { LogLine } from "../types.d.ts" */

/** @typedef {{ learned: string, bleeding: string }} JudgedTexts empty where there are no such pictures */

/**
 * Says how many pictures show the concept.
 * @param {unknown} share [hits, of]
 * @param {unknown} interval [low, high], from 0 to 1
 */
function shown(share, interval) {
  const [hits, of] = Array.isArray(share) ? share : [0, 0];
  const [low, high] = Array.isArray(interval) ? interval : [0, 1];
  if (!of) return "";
  const percent = (/** @type {number} */ value) => Math.round(100 * value);
  return `${hits} of ${of} show the concept (with 95 % confidence ${percent(low)}–${percent(high)} %)`;
}

/**
 * Returns what a line of the log says of both sets.
 * @param {LogLine} line an event "judged"
 * @returns {JudgedTexts}
 */
export function judgedTexts(line) {
  return { learned: shown(line.learned, line.learned_interval), bleeding: shown(line.bleeding, line.bleeding_interval) };
}

/**
 * Says both in one line, for the list of events.
 * @param {LogLine} line
 */
export function judgedLine(line) {
  const { learned, bleeding } = judgedTexts(line);
  const parts = [learned && `with the trigger, ${learned}`, bleeding && `without it, ${bleeding}`];
  return parts.filter(Boolean).join("; ") || "the control pictures could not be judged";
}

/**
 * Returns the texts by step; of a step that was judged twice, the last ones.
 * @param {LogLine[]} marks
 * @returns {Map<number, JudgedTexts>}
 */
export function judgedSteps(marks) {
  return new Map(marks.filter(({ event }) => event === "judged").map((line) => [line.step, judgedTexts(line)]));
}
