// Chooses the control picture that a save's card shows.

import { ApiError, part } from "../shared/api.mjs";
import { confirm, dialog } from "../shared/dialog.mjs";
import { el } from "../shared/dom.mjs";

/** @import { App, ControlPrompt, Save } from "../types.d.ts" */

/**
 * Lets the user choose among the control pictures of a step.
 * @param {App} app
 * @param {{ run: string, save: Save, step: number, prompts: ControlPrompt[] }} choice
 */
export async function choosePreview(app, { run, save, step, prompts }) {
  /** @type {ControlPrompt | null} */
  const entry = await dialog(app, `Preview of ${save.name}`, (close) =>
    el(
      "div.stack",
      {},
      el("p.help", {}, `Control pictures at step ${step}`),
      el(
        "div.choices",
        {},
        prompts.map((one) =>
          el(
            "button.choice",
            { type: "button", onclick: () => close(one), data: { action: "use-preview" } },
            el("img.control", { src: app.api.url(`runs/${part(run)}/controls/${part(one.set)}/${one.number}/${step}`), alt: "" }),
            el("span.choice-help", {}, one.prompt || "(empty prompt)"),
          ),
        ),
      ),
    ),
  );
  if (!entry) return;
  const body = { set: entry.set, number: entry.number, step, save: save.step };
  await app.attempt(async () => {
    try {
      await app.api.post(`runs/${part(run)}/preview`, body);
    } catch (error) {
      // A picture that no run made is there: it is only replaced when the user says so.
      if (!(error instanceof ApiError) || error.status !== 409 || !(await confirm(app, "Replace the preview", error.message, "Replace")))
        throw error;
      await app.api.post(`runs/${part(run)}/preview`, { ...body, replace: true });
    }
    app.say(`Preview set for ${save.name}.`);
  });
}
