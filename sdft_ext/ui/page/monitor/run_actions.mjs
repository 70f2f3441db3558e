// What can be done with a run now.

import { active, resumable } from "../shared/run_widgets.mjs";

/** @import { Status } from "../types.d.ts" */

/**
 * @typedef {object} RunAction
 * @property {string} name a route of the run, except `try`, `use`, `send`, `continue`, `report` and `evaluate`
 * @property {string} label
 * @property {string} [kind] how the button looks
 * @property {string} [done] what is said when it was asked for
 */

/**
 * @typedef {object} Facts
 * @property {boolean} txt2img whether saves can be used in txt2img
 * @property {boolean | null} whole whether saves are whole models; null where that isn't known yet
 * @property {number} saves
 * @property {boolean} [continues] whether a new run can go on from its saves
 * @property {boolean} [report] whether there is a report
 * @property {boolean} [grid] whether the grid of saves can be drawn: there is none yet
 */

/**
 * Returns the actions that make sense now, in the order of their buttons.
 * @param {Pick<Status, "state">} status
 * @param {Facts} facts
 * @returns {RunAction[]}
 */
export function runActions(status, facts) {
  // No step comes any more: only the grid can be left out.
  if (status.state === "drawing") return [{ name: "stop", label: "Skip the grid", done: "The grid isn't drawn. It can be drawn later." }];
  if (status.state === "waiting") return [{ name: "stop", label: "Remove" }];
  return active(status) ? runningActions(status, facts) : endedActions(status, facts);
}

/**
 * @param {Pick<Status, "state">} status
 * @param {Facts} facts
 */
function runningActions({ state }, { txt2img, whole }) {
  /** @type {RunAction[]} */
  const found = [
    state === "paused" ? { name: "resume", label: "Resume", kind: "primary" } : { name: "pause", label: "Pause" },
    { name: "save", label: "Save now", done: "A save is written after this step." },
    { name: "sample", label: "Sample now", done: "Control pictures are drawn after this step." },
  ];
  // A whole model isn't part of a prompt: it is saved, and chosen as the checkpoint.
  if (txt2img && whole === false) found.push({ name: "try", label: "Try now" });
  return [
    ...found,
    { name: "stop", label: "Stop", kind: "danger", done: "The run saves and stops after this step. Then the device is free; Resume continues from there." },
  ];
}

/**
 * @param {Pick<Status, "state">} status
 * @param {Facts} facts
 */
function endedActions(status, { txt2img, whole, saves, grid, continues, report }) {
  /** @type {RunAction[]} */
  const found = [];
  if (resumable(status)) found.push({ name: "resume", label: "Resume", kind: "primary" }, { name: "resume-with", label: "Resume with …" });
  if (saves && txt2img && whole === true) found.push({ name: "use", label: "Use in txt2img" });
  if (saves && txt2img && whole === false) found.push({ name: "send", label: "Send to txt2img" });
  if (saves && grid) found.push({ name: "grid", label: "Draw the grid", done: "The grid of saves is drawn when its turn comes." });
  if (saves && continues) found.push({ name: "continue", label: "Continue with other pictures" });
  if (report) found.push({ name: "report", label: "Report" });
  if (saves) found.push({ name: "evaluate", label: "Evaluate the saves", kind: resumable(status) ? "plain" : "primary" });
  return found;
}
