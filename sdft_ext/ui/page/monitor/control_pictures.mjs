// Control pictures by step: each prompt's pictures at a chosen step, next to those at step 0 with the same seeds.

import { part } from "../shared/api.mjs";
import { el, fill } from "../shared/dom.mjs";
import { ratePicture } from "../shared/rate_dialog.mjs";

/** @import { App, ControlPictures, ControlPrompt } from "../types.d.ts" */
/** @import { JudgedTexts } from "./judged.mjs" */

/** The sets of prompts: their name, title, and what to look for. */
const SETS = [
  ["concept", "With the trigger", "These should approach the concept."],
  ["bleeding", "Without the trigger", "These should stay as they were at step 0."],
];
/** Pictures up to this side are enlarged without blur [pixels]. */
const SMALL = 128;

export class ControlHistory {
  #app;
  #slider = el("input.slider", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Step of the control pictures" });
  #label = el("span.step-label");
  #bar = el("div.row", { hidden: true }, this.#slider, this.#label);
  #rows = el("div.stack");
  #empty = el("p.quiet", {}, "Control pictures appear once the run has drawn its first ones. Add prompts under Watching to get some.");
  /** @type {string | null} */
  #run = null;
  /** @type {ControlPictures} */
  #controls = { steps: [], prompts: [] };
  /** Whether the slider goes along with the newest step. */
  #follows = true;
  /** The pictures that follow the slider. @type {{ prompt: ControlPrompt, image: HTMLImageElement }[]} */
  #images = [];
  /** The place of such pictures, and what names their step. @type {{ node: HTMLElement, caption: HTMLElement }[]} */
  #places = [];
  /** What the judge says of each set. @type {Map<string, HTMLElement>} */
  #texts = new Map();
  /** @type {Map<number, JudgedTexts>} */
  #judged = new Map();

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#slider.addEventListener("input", () => {
      this.#follows = Number(this.#slider.value) === this.#controls.steps.length - 1;
      this.#draw();
    });
    this.node = el("div.stack", {}, this.#bar, this.#rows, this.#empty);
  }

  /**
   * Shows a run's control pictures; the chosen step stays.
   * @param {string | null} run
   * @param {ControlPictures | null} controls
   * @param {Map<number, JudgedTexts>} judged what the judge says of them, by step
   */
  show(run, controls, judged = new Map()) {
    const { steps, prompts } = controls ?? { steps: [], prompts: [] };
    const another = run !== this.#run || JSON.stringify(prompts) !== JSON.stringify(this.#controls.prompts);
    const before = this.#controls.steps[Number(this.#slider.value)];
    this.#run = run;
    this.#controls = { steps, prompts };
    this.#judged = judged;
    const any = steps.length > 0 && prompts.length > 0;
    this.#rows.hidden = !any;
    this.#bar.hidden = !any || steps.length < 2;
    this.#empty.hidden = any;
    if (!any) return;
    if (another) this.#follows = true;
    this.#slider.max = String(steps.length - 1);
    this.#slider.value = String(this.#follows ? steps.length - 1 : Math.max(steps.indexOf(before), 0));
    if (another || !this.#images.length) this.#build();
    this.#draw();
  }

  #build() {
    this.#images = [];
    this.#places = [];
    fill(
      this.#rows,
      SETS.map(([set, title, help]) => {
        const prompts = this.#controls.prompts.filter((prompt) => prompt.set === set);
        if (!prompts.length) return null;
        const rows = el(
          "div.control-rows",
          {},
          byPrompt(prompts).map((same) => this.#row(same)),
        );
        const text = el("p", { data: { role: "judged" } });
        this.#texts.set(set, text);
        return el("div.control-set", { data: { set } }, el("h3.subtitle", {}, title), el("p.help", {}, help), text, rows);
      }),
    );
  }

  /** @param {ControlPrompt[]} prompts the same prompt with different seeds */
  #row(prompts) {
    const [first] = this.#controls.steps;
    const now = this.#controls.steps.at(-1) ?? first;
    const images = prompts.map((prompt) => ({ prompt, image: this.#picture(prompt, prompt.steps?.at(-1) ?? now) }));
    const caption = el("span.quiet", {}, "");
    this.#images.push(...images);
    const node = el("div.of-step", { data: { role: "now" } }, strip(images.map(({ prompt, image }) => this.#rateable(prompt, image))), caption);
    this.#places.push({ node, caption });
    const before = prompts.filter((prompt) => drawnAt(prompt, first)).map((prompt) => this.#picture(prompt, first));
    return el(
      "figure.control-row",
      {},
      el("figcaption.prompt", {}, promptText(prompts[0])),
      el(
        "div.pair",
        {},
        el("div.of-step", {}, strip(before), el("span.quiet", {}, `Step ${first}`)),
        node,
      ),
    );
  }

  /**
   * Makes a picture a button by which it is rated, at the step that is shown.
   * @param {ControlPrompt} prompt
   * @param {HTMLImageElement} image
   */
  #rateable(prompt, image) {
    const rate = () => {
      const step = this.#controls.steps[Number(this.#slider.value)];
      return ratePicture(this.#app, this.#run ?? "", { set: prompt.set, number: prompt.number, step }, { title: prompt.prompt });
    };
    return el("button.rateable", { type: "button", title: "Rate this picture", onclick: rate, data: { action: "rate-picture" } }, image);
  }

  /**
   * @param {ControlPrompt} prompt
   * @param {number} step
   */
  #picture(prompt, step) {
    const image = el("img.control", {
      src: this.#address(prompt, step),
      alt: described(prompt, step),
      title: `Seed ${prompt.seed}`,
      loading: "lazy",
    });
    image.addEventListener("load", () => image.classList.toggle("sdft-pixels", image.naturalWidth <= SMALL));
    return image;
  }

  /**
   * @param {ControlPrompt} prompt
   * @param {number} step
   */
  #address({ set, number }, step) {
    return this.#app.api.url(`runs/${part(this.#run ?? "")}/controls/${part(set)}/${number}/${step}`);
  }

  #draw() {
    const step = this.#controls.steps[Number(this.#slider.value)];
    this.#label.textContent = step === undefined ? "" : `Step ${step}`;
    this.#slider.setAttribute("aria-valuetext", this.#label.textContent);
    if (step === undefined) return;
    for (const { prompt, image } of this.#images) {
      const drawn = drawnAt(prompt, step);
      /** @type {HTMLElement} */ (image.parentElement).hidden = !drawn;
      if (!drawn) continue;
      const url = this.#address(prompt, step);
      if (image.src !== url) image.src = url;
      image.alt = described(prompt, step);
    }
    for (const { node, caption } of this.#places) {
      // The first step's pictures are there already.
      node.hidden = step === this.#controls.steps[0];
      caption.textContent = `Step ${step}`;
    }
    const { learned = "", bleeding = "" } = this.#judged.get(step) ?? {};
    for (const [set, text] of this.#texts) {
      const said = set === "concept" ? learned : bleeding;
      text.hidden = !said;
      text.textContent = said && `At step ${step}, ${said}.`;
    }
  }
}

/**
 * Groups pictures of one prompt with different seeds, in the prompts' order.
 * @param {ControlPrompt[]} prompts
 */
export function byPrompt(prompts) {
  /** @type {Map<string, ControlPrompt[]>} */
  const groups = new Map();
  for (const one of prompts) groups.set(one.prompt, [...(groups.get(one.prompt) ?? []), one]);
  return [...groups.values()];
}

/** Lays pictures out in a square, as far as their number allows. @param {HTMLElement[]} images */
function strip(images) {
  const node = el("div.strip", {}, images);
  node.style.gridTemplateColumns = `repeat(${Math.ceil(Math.sqrt(images.length))}, 1fr)`;
  return node;
}

/** @param {ControlPrompt} prompt @param {number} step */
function described(prompt, step) {
  return `${promptText(prompt)}, seed ${prompt.seed}, step ${step}`;
}

/** @param {ControlPrompt} prompt */
function promptText({ prompt }) {
  return prompt || "(empty prompt)";
}

/**
 * Whether a prompt was drawn at a step: pictures that Measure adds exist only where there is a save.
 * @param {ControlPrompt} prompt
 * @param {number} step
 */
function drawnAt({ steps }, step) {
  return !steps || steps.includes(step);
}
