// The form of regularization pictures: what is to be drawn, by which sampler, into which folder.

import { button, el, fill, freshId } from "../shared/dom.mjs";
import { chooseFolder } from "../shared/folders.mjs";
import { COUNT, LIMITS, limitText, promptLines, suggestedValues } from "./regularization_settings.mjs";

/** @import { App } from "../types.d.ts" */

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */

/** The form's fields, with what is entered. */
export class RegularizationForm {
  /** Fields that the user has changed; the others follow the recipe. @type {Set<string>} */
  typed = new Set();
  prompts = el("textarea.input", { rows: 2, spellcheck: "false", placeholder: "a dog" });
  folder = el("input.input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: "A new folder next to the runs" });
  sampler = el("select.input");
  negative = el("input.input", { type: "text", spellcheck: "false" });
  dropDuplicates = el("input", { type: "checkbox", checked: true });
  /** @type {Record<string, HTMLInputElement>} */
  numbers = Object.fromEntries(Object.entries(LIMITS).map(([name, limits]) => [name, numberInput(...limits)]));
  /** Says how many are recommended. */
  advice = el("p.help", { data: { role: "ratio" } });

  /** @param {App} app @param {() => string} concept gives the path of the concept that they are for */
  constructor(app, concept) {
    this.app = app;
    this.concept = concept;
    for (const [name, control] of Object.entries(this.#controls())) {
      control.dataset.regularization = name;
      control.addEventListener("input", () => this.typed.add(name));
    }
    this.nodes = this.#draw();
  }

  /** @returns {Record<string, Control>} */
  #controls() {
    const { prompts, folder, sampler, negative, numbers } = this;
    return { prompts, folder, sampler, negative, ...numbers, drop_duplicates: this.dropDuplicates };
  }

  #draw() {
    const { count, steps, guidance, width, height, seed, at_once: atOnce } = this.numbers;
    const browse = button("Browse…", () => this.#browse(), { "aria-label": "Browse for a folder for regularization pictures" });
    return [
      labelled("Class prompts", this.prompts, "One on each line; the pictures take them in turn. They become the captions."),
      el(
        "div.fields.narrow",
        {},
        labelled("Pictures", count),
        labelled("Sampler", this.sampler),
        labelled("Steps", steps),
        labelled("Guidance", guidance),
        labelled("Width", width),
        labelled("Height", height),
        labelled("First seed", seed),
        labelled("At once", atOnce, "More are faster, and take more memory."),
      ),
      this.advice,
      labelled("Negative prompt", this.negative),
      labelled("Folder", this.folder, "Pictures in it are kept; those with the same settings aren't drawn again.", el("div.row.together", {}, this.folder, browse)),
      el("label.check", {}, this.dropDuplicates, el("span", {}, "Replace near-duplicates with new pictures")),
    ];
  }

  async #browse() {
    const chosen = await chooseFolder(this.app, this.folder.value, "Folder for regularization pictures");
    if (chosen === null) return;
    this.typed.add("folder");
    this.folder.value = chosen;
  }

  /** Brings what the user hasn't changed in line with the recipe. */
  follow() {
    const controls = this.#controls();
    for (const [name, value] of Object.entries(suggestedValues(this.app.draft, this.concept()))) {
      if (!this.typed.has(name) && document.activeElement !== controls[name]) controls[name].value = value;
    }
    if (!this.typed.has("count") && !this.numbers.count.value) this.numbers.count.value = COUNT;
  }

  /** Suggests how many pictures to draw. @param {number} number */
  suggestCount(number) {
    if (!this.typed.has("count")) this.numbers.count.value = String(Math.max(1, number));
  }

  /** Lists the samplers, where their number has changed. @param {string[]} names */
  setSamplers(names) {
    if (this.sampler.options.length === names.length) return;
    const before = this.sampler.value;
    fill(this.sampler, names.map((name) => el("option", { value: name }, name)));
    if (names.includes(before)) this.sampler.value = before;
  }

  /** Gives the request for `POST regularization`. Raises an Error with a sentence about a field that can't be used. */
  read() {
    const { draft } = this.app;
    const numbers = Object.fromEntries(Object.entries(this.numbers).map(([name, input]) => [name, readNumber(name, input)]));
    const folder = this.folder.value.trim();
    if (folder && folder === draft.text(`${this.concept()}.instance`)) throw new Error("This folder holds the concept's own pictures: choose another one.");
    return {
      prompts: promptLines(this.prompts.value),
      ...numbers,
      folder,
      sampler: this.sampler.value,
      negative: this.negative.value.trim(),
      clip_skip: draft.get("model.clip_skip"),
      drop_duplicates: this.dropDuplicates.checked,
    };
  }
}

/** @param {string} name @param {HTMLInputElement} input */
function readNumber(name, input) {
  const value = Number(input.value);
  const valid = input.value.trim() !== "" && input.validity.valid && Number.isFinite(value);
  if (!valid) throw new Error(limitText(input.getAttribute("aria-label") ?? name, name));
  return value;
}

/** @param {number} least @param {number} most @param {number} step */
function numberInput(least, most, step) {
  return el("input.input.number", { type: "number", inputmode: "decimal", min: least, max: most, step });
}

/** Shows a control with its label and help. @param {string} label @param {Control} control @param {string} help @param {HTMLElement} shown the control, or what it is part of */
function labelled(label, control, help = "", shown = control) {
  control.id = freshId("sdft-regularization");
  control.setAttribute("aria-label", label);
  return el("div.field", {}, el("div.field-head", {}, el("label.label", { htmlFor: control.id }, label)), shown, help && el("p.help", {}, help));
}
