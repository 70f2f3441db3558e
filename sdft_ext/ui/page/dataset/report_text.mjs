// What a report says in words, and what it is about.

import { count, thousands } from "../shared/numbers.mjs";

/** @import { Recipe } from "../types.d.ts" */
/** @import { DatasetReport, ReportAnswer } from "./types.d.ts" */

/** @type {Record<string, string>} */
const STATES = {
  waiting: "Waiting for another report …",
  reading: "Reading names and headers …",
  inspecting: "Inspecting the pictures",
  comparing: "Comparing the pictures …",
};

/** Whether a report is finished, cancelled or failed. @param {ReportAnswer["state"]} state */
export const isOver = (state) => ["finished", "cancelled", "failed"].includes(state);

/**
 * Says how far a report is: in words, and as a share; null where that isn't known.
 * @param {Pick<ReportAnswer, "state" | "done" | "total">} answer
 */
export function progressOf({ state, done, total }) {
  if (state !== "inspecting" || !total) return { share: null, text: STATES[state] ?? "" };
  return { share: done / total, text: `${STATES.inspecting}: ${thousands(done)} of ${thousands(total)}` };
}

/** Gives what a report depends on, as text: if it changes, the report is out of date. @param {Recipe} recipe */
export function subjectOf({ dataset = {}, train = {} }) {
  return JSON.stringify([dataset, train.batch_size, train.accumulation]);
}

/** Sums a report up. @param {DatasetReport} report */
export function summaryOf({ concepts, figures, showings_per_epoch, steps_per_epoch }) {
  const instance = concepts.reduce((sum, one) => sum + one.instance_pictures, 0);
  const others = concepts.reduce((sum, one) => sum + one.regularization_pictures, 0);
  return [
    `${count(instance, "instance picture", "instance pictures")} of ${count(figures.sizes, "size", "sizes")},`,
    `${count(others, "regularization picture", "regularization pictures")}.`,
    `An epoch shows ${count(showings_per_epoch, "picture", "pictures")} in ${count(steps_per_epoch, "step", "steps")}.`,
  ].join(" ");
}
