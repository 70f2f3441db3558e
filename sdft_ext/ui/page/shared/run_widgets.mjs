// What panels that show runs have in common.

import { part } from "./api.mjs";
import { el } from "./dom.mjs";

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
const ACTIVE = new Set(["preparing", "training", "drawing", "paused"]);
const RESUMABLE = new Set(["stopped", "failed"]);

export function badge(state) {
  return el("span", { class: `sdft-badge sdft-state-${String(state).replace(/\W/g, "")}` }, STATES[state] ?? String(state));
}

export const active = (run) => ACTIVE.has(run?.state);
export const resumable = (run) => RESUMABLE.has(run?.state);

export function progressBar() {
  const fill_ = el("div.bar-fill");
  const node = el("div.bar", { role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, fill_);
  return {
    node,
    set(step, total, state) {
      const share = total > 0 ? Math.min(step / total, 1) : 0;
      fill_.style.width = `${(share * 100).toFixed(2)}%`;
      node.setAttribute("aria-valuenow", String(Math.round(share * 100)));
      node.classList.toggle("sdft-busy", (state === "preparing" || state === "training") && !total);
    },
  };
}

/** Where one in the queue is told what to do: a run, or regularization pictures to be drawn. */
export function jobPath(id) {
  return id.startsWith("regularization/") ? `regularization/${part(id.slice("regularization/".length))}` : `runs/${part(id)}`;
}

/** Whether a method's saves are whole models: no prompt can call them, they are chosen as the checkpoint. */
export const wholeModel = ({ name, full }) => ["dreambooth", "full"].includes(name) && full.save_as !== "lora";

/** A menu of runs that follows the list; `chosen(id)` hears what the user picks. */
export function runMenu(app, label, wanted, chosen) {
  const select = el("select.input", { "aria-label": label, data: { action: "run" } });
  select.addEventListener("change", () => chosen(select.value));
  const draw = (id) => {
    const options = app.runs.runs.filter(wanted).map((run) => [run.id, `${run.name} · ${STATES[run.state] ?? run.state}`]);
    const text = JSON.stringify(options);
    if (select.sdftOptions !== text) {
      select.sdftOptions = text;
      select.replaceChildren(...options.map(([value, words]) => el("option", { value }, words)));
    }
    select.value = id ?? "";
  };
  return { node: select, draw };
}
