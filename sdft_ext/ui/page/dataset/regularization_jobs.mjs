// Jobs that draw regularization pictures: how far they are, and the folder that becomes a concept's when one ends.

import { part } from "../shared/api.mjs";
import { button, el } from "../shared/dom.mjs";
import { duration, thousands } from "../shared/numbers.mjs";
import { badge, progressBar } from "../shared/run_widgets.mjs";
import { readJson, writeJson } from "../shared/storage.mjs";
import { thumbnail } from "../shared/thumbnails.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { RegularizationJob } from "./types.d.ts" */

/** Jobs whose folder becomes a concept's when they end: name → the setting's path. Kept, so that a reload loses none. */
const KEPT = "sdft.regularization.1";
const storage = () => localStorage;
const UNDER_WAY = ["waiting", "drawing", "paused"];

/** Whether a job isn't over yet. @param {RegularizationJob} job */
export const isUnderWay = (job) => UNDER_WAY.includes(job.state);

/** Lists the jobs to show: those under way, and the last one that has ended. @param {RegularizationJob[]} jobs newest first */
export function shownJobs(jobs) {
  return [...jobs.filter(isUnderWay), ...jobs.filter((job) => !isUnderWay(job)).slice(0, 1)];
}

/** Lists a job's actions: label and route. @param {RegularizationJob["state"]} state @returns {[string, string][]} */
export function jobActions(state) {
  if (state === "drawing") return [["Pause", "pause"], ["Stop", "stop"]];
  if (state === "paused") return [["Resume", "resume"], ["Stop", "stop"]];
  if (state === "waiting") return [["Remove", "stop"]];
  return state === "finished" ? [] : [["Resume", "resume"]];
}

/**
 * Shows a job: its prompts, its progress, its newest pictures, and what can be done with it.
 * @param {App} app
 * @param {RegularizationJob} job
 * @param {string} path the setting that its folder can be used for
 * @param {() => unknown} changed is called when it was paused, resumed or stopped
 */
export function jobView(app, job, path, changed) {
  const bar = progressBar();
  bar.set(job.done, job.total, job.state);
  /** @param {string} action */
  const act = (action) =>
    app.attempt(async () => {
      await app.api.post(`regularization/${part(job.name)}/${action}`);
      changed();
      await app.refresh();
    });
  const buttons = jobActions(job.state).map(([label, action]) => button(label, () => act(action), { kind: "small", data: { action: `regularize-${action}` } }));
  const usable = !isUnderWay(job) && job.done > 0 && app.draft.get(path) !== job.folder;
  const use = usable && button("Use this folder", () => app.draft.set(path, job.folder), { kind: "small", data: { action: "regularize-use" } });
  const facts = [`${thousands(job.done)} of ${thousands(job.total)} pictures`, job.seconds_left ? `${duration(job.seconds_left)} left` : ""];
  const { width, height } = job.wanted.sampling;
  return el(
    "article.regularization-job",
    { data: { job: job.name, state: job.state } },
    el("div.row.wrap", {}, badge(job.state), el("span.prompt", {}, job.wanted.prompts.join(" / ")), el("span.spring"), ...buttons, use),
    bar.node,
    el("p.progress-facts", {}, facts.filter(Boolean).join(" · ")),
    job.message && el("p", { class: job.state === "failed" ? "sdft-problem" : "sdft-help" }, app.api.inWords(job.message)),
    job.newest.length > 0 && el("div.thumbnails", {}, job.newest.map(({ name, picture }) => thumbnail(app, { picture, text: name, width, height }))),
    el("p.help", {}, job.folder),
  );
}

/** Remembers that a job's folder becomes a setting's value when the job ends. @param {string} job @param {string} path */
export function remember(job, path) {
  writeJson(storage, KEPT, { ...remembered(), [job]: path });
}

/** Whether any job's end is awaited. */
export function anyRemembered() {
  return Object.keys(remembered()).length > 0;
}

/** Gives the folder of a job that has ended to its concept, once. Returns whether it did. @param {App} app @param {RegularizationJob} job */
export function assignFolder(app, job) {
  const { [job.name]: path, ...rest } = remembered();
  if (!path) return false;
  writeJson(storage, KEPT, rest);
  if (!app.draft.field(path)) return false;
  if (app.draft.get(path) === job.folder) app.root.dispatchEvent(new CustomEvent("sdft-pictures", { detail: { folder: job.folder } }));
  else app.draft.set(path, job.folder);
  app.say(`${job.message} They are now the concept's regularization pictures.`);
  return true;
}

/** @returns {Record<string, string>} */
function remembered() {
  const found = readJson(storage, KEPT);
  return found && typeof found === "object" ? /** @type {Record<string, string>} */ (found) : {};
}
