// Which saves of a run are compared, and what is typed about them.

/** @import { ControlPictures, ControlPrompt, Save } from "../types.d.ts" */

/** The column that is drawn without any save. */
export const BASE = "none";

/** As many saves are chosen at first. */
const CHOSEN = 5;

/**
 * Returns at most five saves, evenly spread, the first and the last one among them. Of more than five, those that were saved on
 * request are left out, as in the run's grid.
 * @param {Save[]} saves
 */
export function spreadSaves(saves) {
  if (saves.length <= CHOSEN) return saves;
  const scheduled = saves.filter((save) => save.scheduled || save === saves.at(-1));
  if (scheduled.length <= CHOSEN) return scheduled;
  return Array.from({ length: CHOSEN }, (_, number) => scheduled[Math.round((number * (scheduled.length - 1)) / (CHOSEN - 1))]);
}

/**
 * Returns the step of the control pictures that show a save: its own one, else the last before it, else the first.
 * @param {number[]} steps of the control pictures
 * @param {number} save the step of the save
 */
export function previewStep(steps, save) {
  return steps.filter((step) => step <= save).at(-1) ?? steps[0];
}

/**
 * Returns the prompts of the concept's control pictures.
 * @param {ControlPictures | undefined} controls
 * @returns {ControlPrompt[]}
 */
export function conceptPrompts(controls) {
  return (controls?.prompts ?? []).filter(({ set }) => set === "concept");
}

/**
 * Returns the first picture of each prompt: the others differ in their seed.
 * @param {ControlPrompt[]} prompts of one set
 */
export function firstOfEach(prompts) {
  return prompts.filter(({ prompt }, place) => prompts.findIndex((one) => one.prompt === prompt) === place);
}

/**
 * Returns the lines of a text without empty ones.
 * @param {string} text
 */
export function linesOf(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/**
 * Reads weights that are separated by commas, semicolons or spaces. Raises Error where one isn't a number.
 * @param {string} text
 */
export function weightsOf(text) {
  const found = text
    .split(/[,;\s]+/)
    .filter(Boolean)
    .map(Number);
  if (!found.length || found.some((value) => !Number.isFinite(value)))
    throw new Error("Enter the weights as numbers separated by commas, such as 0.6, 0.8, 1.");
  return found;
}
