// What panels that show runs have in common.

import { part } from "./api.mjs";
import { el } from "./dom.mjs";

/** @import { App, Run, Schema } from "../types.d.ts" */

/** The name of each state of a run, a job or a tool. @type {Record<string, string>} */
export const STATES = {
  waiting: "Waiting",
  preparing: "Preparing",
  training: "Training",
  drawing: "Drawing",
  working: "Working",
  paused: "Paused",
  finished: "Finished",
  stopped: "Stopped",
  failed: "Failed",
};
const ACTIVE = ["preparing", "training", "drawing", "paused"];
const RESUMABLE = ["stopped", "failed"];

/** Shows a state as a coloured label. @param {string} state */
export function badge(state) {
  return el("span", { class: `sdft-badge sdft-state-${String(state).replace(/\W/g, "")}` }, STATES[state] ?? String(state));
}

/** Whether a run is under way. @param {{ state: string } | null | undefined} run */
export const active = (run) => ACTIVE.includes(run?.state ?? "");
/** Whether a run can be resumed. @param {{ state: string } | null | undefined} run */
export const resumable = (run) => RESUMABLE.includes(run?.state ?? "");

/** Makes a bar that shows how far something is. @param {string} label what it is that goes on */
export function progressBar(label = "Progress") {
  const filled = el("div.bar-fill");
  const node = el("div.bar", { role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }, filled);
  return {
    node,
    /** @param {number} step @param {number} total 0 where it isn't known yet @param {string} [state] */
    set(step, total, state) {
      const share = total > 0 ? Math.min(step / total, 1) : 0;
      filled.style.width = `${(share * 100).toFixed(2)}%`;
      const busy = (state === "preparing" || state === "training") && !total;
      // A screen reader says "busy" where there is no value.
      if (busy) node.removeAttribute("aria-valuenow");
      else node.setAttribute("aria-valuenow", String(Math.round(share * 100)));
      node.classList.toggle("sdft-busy", busy);
    },
  };
}

/** Gives the route of something in the queue: a run, or a job that draws regularization pictures. @param {string} id */
export function jobPath(id) {
  const prefix = "regularization/";
  return id.startsWith(prefix) ? `${prefix}${part(id.slice(prefix.length))}` : `runs/${part(id)}`;
}

/**
 * Whether a run's saves are whole models: no prompt can call them, they are chosen as the checkpoint.
 * @param {Schema} schema
 * @param {{ name: string, full: { save_as: string } }} method the recipe's `method`
 */
export function wholeModel(schema, { name, full }) {
  const method = schema.methods.find((one) => one.name === name);
  return method?.whole_model === true && full.save_as !== "lora";
}

/**
 * Makes a menu of runs.
 * @param {App} app
 * @param {string} label
 * @param {(run: Run) => boolean} listed which runs it offers
 * @param {(id: string) => unknown} chosen gets the id of the run that the user picks
 */
export function runMenu(app, label, listed, chosen) {
  const select = el("select.input", { "aria-label": label, data: { action: "run" } });
  let shown = "";
  select.addEventListener("change", () => chosen(select.value));
  /** Brings the menu up to date, with run `id` chosen. @param {string | null | undefined} id */
  const draw = (id) => {
    const options = app.runs.runs.filter(listed).map((run) => ({ id: run.id, label: [run.name, run.method, STATES[run.state] ?? run.state].filter(Boolean).join(" · ") }));
    const text = JSON.stringify(options);
    if (shown !== text) {
      shown = text;
      select.replaceChildren(...options.map((run) => el("option", { value: run.id }, run.label)));
    }
    select.value = id ?? "";
  };
  return { node: select, draw };
}
