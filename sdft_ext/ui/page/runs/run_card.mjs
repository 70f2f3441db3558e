// One run of the list, with what can be done with it.

import { part } from "../shared/api.mjs";
import { confirm } from "../shared/dialog.mjs";
import { button, el } from "../shared/dom.mjs";
import { count, when } from "../shared/numbers.mjs";
import { resumeWith } from "../shared/resume_dialog.mjs";
import { active, badge, progressBar, resumable } from "../shared/run_widgets.mjs";

/** @import { App, Recipe, Run } from "../types.d.ts" */

/**
 * `mark(on)` marks it to be compared.
 * @param {App} app
 * @param {Run} run
 * @param {(on: boolean) => void} mark
 */
export function runCard(app, run, mark) {
  const { id, name, state, picture, message } = run;
  const busy = active(run) || state === "waiting";
  const bar = progressBar();
  bar.set(run.step, run.total, state);
  const box = el("input", { type: "checkbox", data: { compare: id, action: `compare-${id}` }, "aria-label": `Select ${name} to compare` });
  box.addEventListener("change", () => mark(box.checked));
  const facts = [run.method, run.total && state !== "preparing" ? `Step ${run.step} of ${run.total}` : "", count(run.saves, "save", "saves"), when(run.started)];
  return el(
    "div.run",
    { role: "listitem", data: { run: id } },
    el("label.run-mark", { title: "Select to compare" }, box),
    el("div.run-picture", {}, picture && el("img.pixels", { src: app.api.url(picture), alt: "", loading: "lazy" })),
    el(
      "div.run-about",
      {},
      el("div.row.wrap", {}, el("span.run-name", { title: id }, name), badge(state)),
      busy && bar.node,
      el("p.help", {}, facts.filter(Boolean).join(" · ")),
      message && el("p", { class: state === "failed" ? "sdft-problem" : "sdft-help" }, app.api.inWords(message)),
    ),
    el("div.row.wrap.run-actions", {}, actions(app, run, busy)),
  );
}

/**
 * @param {App} app
 * @param {Run} run
 * @param {boolean} busy
 */
function actions(app, run, busy) {
  const { id } = run;
  /** @type {(label: string, action: string, act: () => unknown) => HTMLButtonElement} */
  const small = (label, action, act) => button(label, act, { kind: "small", data: { action: `${action}-${id}` } });
  return [
    small("Open", "open", () => app.showRun(id)),
    run.saves > 0 && small("Evaluate", "evaluate", () => app.evaluate(id)),
    small("Load recipe", "recipe", () => loadRecipe(app, run)),
    resumable(run) && small("Resume", "resume", () => resume(app, id)),
    resumable(run) && small("Resume with …", "resume-with", () => resumeWith(app, id)),
    !busy && small("Trash", "trash", () => trash(app, run)),
  ];
}

/**
 * @param {App} app
 * @param {string} id
 */
function resume(app, id) {
  return app.attempt(async () => {
    await app.api.post(`runs/${part(id)}/resume`);
    app.say("The run is in the queue.");
    await app.refresh();
  });
}

/**
 * @param {App} app
 * @param {Run} run
 */
function loadRecipe(app, { id, name }) {
  return app.attempt(async () => {
    /** @type {{ recipe: Recipe }} */
    const { recipe } = await app.api.get(`runs/${part(id)}`);
    app.draft.load(recipe);
    app.show("train");
    app.say(`Recipe of ${name} loaded.`);
  });
}

/**
 * @param {App} app
 * @param {Run} run
 */
async function trash(app, run) {
  const { id, name } = run;
  const saves = el("input", { type: "checkbox", data: { action: "trash-saves" } });
  const sure = await confirm(
    app,
    "Move to the trash",
    `${name} moves to the trash, with its log and its control pictures.`,
    "Move to the trash",
    {
      extra:
        run.saves > 0 && app.can("cards") && el("label.check", {}, saves, el("span", {}, "Also its saves in the WebUI's model folders")),
    },
  );
  if (!sure) return;
  await app.attempt(async () => {
    await app.api.post(`runs/${part(id)}/trash`, { saves: saves.checked });
    await app.refresh();
    app.say(`${name} is in the trash.`);
  });
}
