// The control pictures of a save, one for each prompt, with all saves' pictures of a prompt in a window.

import { part } from "../shared/api.mjs";
import { dialog } from "../shared/dialog.mjs";
import { button, el } from "../shared/dom.mjs";
import { ratePicture } from "../shared/rate_dialog.mjs";
import { judgedCount } from "../shared/verdict.mjs";
import { firstOfEach, previewStep } from "./saves.mjs";

/** @import { App, ControlPrompt, RunDetail } from "../types.d.ts" */

/** Pictures up to this side are enlarged without blur [pixels]. */
const SMALL = 128;
/** The sets, and how the judge names what they show. */
const SETS = /** @type {const} */ ([
  ["concept", "With the trigger", "learned"],
  ["bleeding", "Without the trigger", "bleeding"],
]);

/**
 * Shows the pictures that were drawn with a save, or as late before it as there are some; null where there are none.
 * @param {App} app
 * @param {RunDetail} detail
 * @param {number} save its step; 0 for the base model
 * @param {() => unknown} rated called when a picture was rated
 */
export function savePictures(app, detail, save, rated) {
  const { steps, prompts } = detail.controls;
  const step = previewStep(steps, save);
  if (step === undefined || !prompts.length || (save === 0 && step !== 0)) return null;
  const sets = SETS.map(([set, title, name]) => {
    const shown = judgedCount(detail.marks, step, name);
    const text = shown ? `${title}: ${shown} show the concept` : title;
    const pictures = firstOfEach(prompts.filter((prompt) => prompt.set === set)).map((prompt) => pictureButton(app, detail, prompt, step, rated));
    return pictures.length > 0 && el("div.save-set", { data: { set } }, el("span.help", {}, text), el("div.row.wrap", {}, pictures));
  });
  return el("div.save-pictures", { data: { step } }, sets, step !== save && el("p.help", {}, `Drawn at step ${step}`));
}

/**
 * @param {App} app
 * @param {RunDetail} detail
 * @param {ControlPrompt} prompt
 * @param {number} step
 * @param {() => unknown} rated
 */
function pictureButton(app, detail, prompt, step, rated) {
  const text = prompt.prompt || "(empty prompt)";
  return el(
    "button.save-picture",
    { type: "button", title: text, "aria-label": `${text}, step ${step}: compare with the other saves`, onclick: () => compare(app, detail, prompt, rated), data: { action: "enlarge" } },
    picture(app, detail.id, prompt, step, ""),
  );
}

/**
 * Shows what each save makes of a prompt.
 * @param {App} app
 * @param {RunDetail} detail
 * @param {ControlPrompt} prompt
 * @param {() => unknown} rated called when a picture was rated
 */
function compare(app, { id, controls, saves }, prompt, rated) {
  const text = prompt.prompt || "(empty prompt)";
  const drawn = [...new Set([controls.steps[0], ...saves.map(({ step }) => previewStep(controls.steps, step))])];
  return dialog(
    app,
    text,
    () =>
      el(
        "div.save-comparison",
        {},
        drawn.map((step) => el("figure", {}, picture(app, id, prompt, step, `${text}, step ${step}`), el("figcaption.row.help", {}, `Step ${step}`, el("span.spring"), step > 0 && rateButton(app, id, prompt, step, rated)))),
      ),
    { wide: true },
  );
}

/**
 * @param {App} app
 * @param {string} run
 * @param {ControlPrompt} prompt
 * @param {number} step
 * @param {() => unknown} rated
 */
function rateButton(app, run, { set, number, prompt }, step, rated) {
  const rate = async () => {
    if (await ratePicture(app, run, { set, number, step }, { title: prompt })) rated();
  };
  return button("Rate", rate, { kind: "small", "aria-label": `Rate the picture of step ${step}`, data: { action: "rate-picture", step: String(step) } });
}

/**
 * @param {App} app
 * @param {string} run
 * @param {ControlPrompt} prompt
 * @param {number} step
 * @param {string} alt
 */
function picture(app, run, { set, number }, step, alt) {
  const image = el("img.control", { src: app.api.url(`runs/${part(run)}/controls/${part(set)}/${number}/${step}`), alt, loading: "lazy" });
  image.addEventListener("load", () => image.classList.toggle("sdft-pixels", image.naturalWidth <= SMALL));
  return image;
}
