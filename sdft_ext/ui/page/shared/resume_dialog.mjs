// "Resume with …": a window in which the settings are changed that a run's state doesn't depend on.

import { part } from "./api.mjs";
import { dialog } from "./dialog.mjs";
import { button, el, fill, freshId } from "./dom.mjs";
import { inputOf } from "./field_inputs.mjs";
import { changeable, ResumeChanges } from "./resume_changes.mjs";
import { rangeOf, shown } from "./setting_text.mjs";

/** @import { App, Field, RunDetail } from "../types.d.ts" */

/**
 * Lets the user change settings of a run that has ended, and resumes it with them. Returns whether it was resumed.
 * @param {App} app
 * @param {string} run
 * @param {string[]} first settings to show first, such as those that its message names
 */
export async function resumeWith(app, run, first = ["train.learning_rate"]) {
  /** @type {RunDetail | null} */
  let detail = null;
  await app.attempt(async () => {
    detail = await app.api.get(`runs/${part(run)}`);
  });
  if (detail === null) return false;
  const { recipe, name } = /** @type {RunDetail} */ (detail);
  const changes = new ResumeChanges(recipe);
  const fields = changeable(app.schema, recipe.method.name);
  const named = fields.filter((field) => first.includes(field.path));
  const usual = [...named, ...fields.filter((field) => !named.includes(field) && !field.folded)];
  const resumed = await dialog(app, `Resume ${name} with …`, (/** @type {(done?: boolean | null) => void} */ close) => {
    const resume = button("Resume", () => send(), { kind: "primary", disabled: true, data: { action: "resume-changed" } });
    changes.changed = () => {
      resume.disabled = changes.invalid.size > 0 || Object.keys(changes.settings).length === 0;
    };
    const send = async () => {
      const worked = await app.attempt(() => app.api.post(`runs/${part(run)}/resume`, { settings: changes.settings }), resume);
      if (worked) close(true);
    };
    return el(
      "div.stack",
      {},
      el("p", {}, "The run goes on from its last state with what you change here. Its log and its saves will say so."),
      usual.map((field) => row(app, field, changes)),
      el(
        "details.fold",
        {},
        el("summary", {}, "More settings"),
        el(
          "div.stack",
          {},
          fields.filter((field) => !usual.includes(field)).map((field) => row(app, field, changes)),
        ),
      ),
      el("div.row.end", {}, button("Cancel", () => close(false)), resume),
    );
  });
  if (resumed) {
    app.say("The run is in the queue.");
    await app.refresh();
  }
  return resumed === true;
}

/**
 * Makes a setting's line: its name, its range, the control, and the run's own value once it is changed.
 * @param {App} app
 * @param {Field} field
 * @param {ResumeChanges} changes
 */
function row(app, field, changes) {
  const { path, label } = field;
  const id = freshId("sdft-resume");
  const own = shown(changes.get(path));
  const note = el("p.help", { id: `${id}-help` });
  const problem = el("p.problem", { id: `${id}-problem`, role: "alert", hidden: true });
  const draft = {
    invalid: changes.invalid,
    set: (/** @type {string} */ _, /** @type {any} */ value) => follow(() => changes.set(path, value)),
    mark: (/** @type {string} */ _, /** @type {string} */ sentence) => follow(() => changes.mark(path, sentence)),
  };
  /** @param {() => void} change */
  const follow = (change) => {
    change();
    const now = shown(changes.get(path));
    fill(note, now === own ? "" : `It was ${own}.`);
    problem.textContent = changes.invalid.get(path) ?? "";
    problem.hidden = !problem.textContent;
    input.show(changes.get(path) ?? null);
  };
  // The control writes into the run's changes, not into the page's recipe.
  const parts = { app: /** @type {App} */ (Object.create(app, { draft: { value: draft } })), path, field, id, name: label };
  const input = inputOf(parts);
  input.show(changes.get(path) ?? null);
  return el(
    "div.field",
    { data: { resume: path } },
    el("div.field-head", {}, el("label.label", { htmlFor: id, id: `${id}-label` }, label), el("span.range", {}, rangeOf(field))),
    input.node,
    note,
    problem,
  );
}
