// What regularization pictures are drawn with: the recipe's values as a start, and what the user has entered as a request.

/** @import { Draft } from "../shared/draft.mjs" */

/** The limits of the number fields: least, most, step. @type {Record<string, [number, number, number]>} */
export const LIMITS = {
  count: [1, 100_000, 1],
  steps: [1, 150, 1],
  guidance: [1, 30, 0.5],
  width: [64, 2048, 8],
  height: [64, 2048, 8],
  seed: [0, 4_000_000_000, 1],
  at_once: [1, 16, 1],
};
/** How many pictures are suggested as long as there are no instance pictures to count. */
export const COUNT = "200";

/** Suggests the class prompt: "a dog", or a style's class word as it is. @param {string} classWord @param {string} kind */
export function classPrompt(classWord, kind) {
  if (!classWord || kind === "style") return classWord;
  return `${/^[aeiou]/i.test(classWord) ? "an" : "a"} ${classWord}`;
}

/** Takes the values of the fields from the recipe. @param {Pick<Draft, "get" | "text">} draft @param {string} concept the concept's path */
export function suggestedValues(draft, concept) {
  const side = String(Math.max(64, Math.floor(Number(draft.get("dataset.resolution")) / 8) * 8));
  return {
    prompts: classPrompt(draft.text(`${concept}.class_word`), draft.text(`${concept}.kind`)),
    folder: String(draft.get(`${concept}.regularization`) ?? ""),
    steps: String(draft.get("watch.sampler_steps")),
    guidance: String(draft.get("watch.guidance")),
    width: side,
    height: side,
    seed: "1",
    at_once: "1",
    negative: String(draft.get("watch.negative") ?? ""),
  };
}

/** Splits class prompts, one on each line. @param {string} text */
export function promptLines(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

/**
 * Says what a number field takes.
 * @param {string} label
 * @param {string} name one of LIMITS
 */
export function limitText(label, name) {
  const [least, most, step] = LIMITS[name];
  const multiple = step === 8 ? " that is a multiple of 8" : "";
  return `${label}: enter a number from ${least.toLocaleString("en")} to ${most.toLocaleString("en")}${multiple}.`;
}
