// How many pictures the guide recommends.

import { count, thousands } from "../shared/numbers.mjs";

/** Instance pictures of each kind of concept: at least and at most. @type {Record<string, [number, number]>} */
export const INSTANCE = { subject: [5, 20], style: [50, 200] };
/** Regularization pictures for each instance picture. @type {[number, number]} */
export const REGULARIZATION = [20, 100];

/** Says how many instance pictures are recommended. @param {string} kind of concept */
export function instanceRange(kind) {
  const [low, high] = INSTANCE[kind] ?? INSTANCE.subject;
  return { low, high, text: `${low}–${high} recommended` };
}

/** Says how many regularization pictures are recommended for a number of instance pictures. @param {number} instances */
export function regularizationRange(instances) {
  const [low, high] = REGULARIZATION.map((times) => times * instances);
  const each = REGULARIZATION.join("–");
  const text = instances ? `${thousands(low)}–${thousands(high)} recommended: ${each} for each of ${thousands(instances)}` : `${each} for each instance picture recommended`;
  return { low, high, text };
}

/** Advises how many regularization pictures to draw. @param {number} instances @param {number} drawn pictures that are there already */
export function drawingAdvice(instances, drawn) {
  const each = REGULARIZATION.join("–");
  if (!instances) return `The guide recommends ${each} for each picture of the concept.`;
  const { low, high } = regularizationRange(instances);
  const there = drawn ? `You have ${thousands(drawn)}.` : "You have none yet.";
  return `The guide recommends ${each} for each of your ${count(instances, "picture", "pictures")}: ${thousands(low)}–${thousands(high)}. ${there}`;
}
