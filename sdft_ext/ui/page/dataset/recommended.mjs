// How many pictures the guide recommends; the numbers are the schema's.

import { count, thousands } from "../shared/numbers.mjs";

/** @import { Recommended } from "../types.d.ts" */

/** Says how many instance pictures are recommended. @param {Recommended} recommended @param {string} kind of concept */
export function instanceRange({ instance }, kind) {
  const [low, high] = instance[kind];
  return { low, high, text: `${low}–${high} recommended` };
}

/** Says how many regularization pictures are recommended for a number of instance pictures. @param {Recommended} recommended @param {number} instances */
export function regularizationRange({ regularization }, instances) {
  const [low, high] = regularization.map((times) => times * instances);
  const each = regularization.join("–");
  const text = instances ? `${thousands(low)}–${thousands(high)} recommended: ${each} for each of ${thousands(instances)}` : `${each} for each instance picture recommended`;
  return { low, high, text };
}

/**
 * Advises how many regularization pictures to draw.
 * @param {Recommended} recommended
 * @param {number} instances
 * @param {number} drawn pictures that exist already
 */
export function drawingAdvice(recommended, instances, drawn) {
  const each = recommended.regularization.join("–");
  if (!instances) return `The guide recommends ${each} for each picture of the concept.`;
  const { low, high } = regularizationRange(recommended, instances);
  const existing = drawn ? `You have ${thousands(drawn)}.` : "You have none yet.";
  return `The guide recommends ${each} for each of your ${count(instances, "picture", "pictures")}: ${thousands(low)}–${thousands(high)}. ${existing}`;
}
