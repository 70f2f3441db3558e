// What the recipe comes to, in words.

import { count, duration, megabytes, thousands } from "../shared/numbers.mjs";

/** @import { Calculation, Memory } from "../types.d.ts" */

/** From this share of the free memory on, a forecast is a warning. */
const TIGHT = 0.85;

/** Lists the facts about a run: name and value. @param {Calculation} found @returns {[string, string][]} */
export function factsOf(found) {
  if (!found.pictures) return [];
  const { epochs, steps, seconds } = found;
  const pictures = found.regularization ? `${found.pictures} + ${found.regularization} regularization` : String(found.pictures);
  /** @type {[string, string | null | undefined | false][]} */
  const facts = [
    ["Pictures", pictures],
    ["Steps", steps != null && thousands(steps)],
    ["Epochs", epochs != null && `${Number(epochs.toFixed(1))} of ${count(found.steps_per_epoch, "step", "steps")}`],
    ["Saves", savesText(found.saves ?? [], found.saves_count)],
    ["Time", seconds != null ? `about ${duration(seconds)}${previewsText(found)}` : found.measured && "measured once it runs"],
  ];
  return facts.flatMap(([name, value]) => (value ? [[name, value]] : []));
}

/** Says how much of the time is for control pictures, where that is known. @param {Calculation} found */
function previewsText({ preview_seconds: previews }) {
  return previews ? `, ${duration(previews)} of it for control pictures` : "";
}

/** Says how many saves there are, and at which steps. @param {number[]} steps @param {number | null | undefined} total */
function savesText(steps, total) {
  if (!steps.length) return null;
  const places = steps.length > 4 ? `${steps.slice(0, 3).join(", ")} … ${steps.at(-1)}` : steps.join(", ");
  const number = total ?? steps.length;
  return `${number}, at ${number === 1 ? "step" : "steps"} ${places}`;
}

/**
 * Says how full the memory will be: a share of what is free, how serious that is, and the same in words.
 * @param {Memory} memory
 * @returns {{ share: number, level: "good" | "warn" | "bad", text: string }}
 */
export function memoryUse({ needed_mb: needed, free_mb: free, fits, estimate }) {
  const share = free ? Math.min(needed / free, 1) : 0;
  return {
    share,
    level: fits === false ? "bad" : share > TIGHT ? "warn" : "good",
    text: `${estimate ? "estimate: " : ""}${megabytes(needed)} of ${megabytes(free)} free`,
  };
}
