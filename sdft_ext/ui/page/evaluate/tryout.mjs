// Prompts × saves, drawn by the server: for the page that runs without a WebUI.

import { part } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { Selection } from "./panel.mjs" */

/** @typedef {{ label: string, step: number | null }} Column Null: the base model. */

/** Pictures up to this side are enlarged without blur [pixels]. */
const SMALL = 128;

/**
 * @param {App} app
 * @param {() => Selection} selection
 */
export function tryoutSection(app, selection) {
  return new Tryout(app, selection).node;
}

class Tryout {
  #app;
  #selection;
  #prompts = el("textarea.input", { rows: 4, data: { field: "prompts" } });
  #negative;
  #numbers;
  #result = el("div.tryout", { "aria-live": "polite" });
  /** Grows with each drawing: an earlier one stops then. */
  #turn = 0;

  /**
   * @param {App} app
   * @param {() => Selection} selection
   */
  constructor(app, selection) {
    this.#app = app;
    this.#selection = selection;
    const { recipe = {}, controls } = selection().detail;
    const watch = recipe.watch ?? {};
    this.#prompts.value = [...new Set((controls?.prompts ?? []).map(({ prompt }) => prompt))].filter(Boolean).join("\n");
    this.#negative = field("Negative prompt", "negative", watch.negative ?? "", "text");
    this.#numbers = {
      weight: field("Weight", "weight", 1),
      seed: field("Seed", "seed", watch.seed ?? 1000),
      steps: field("Sampler steps", "steps", watch.sampler_steps ?? 20),
      guidance: field("Guidance", "guidance", watch.guidance ?? 7),
      size: field("Size in pixels", "size", watch.size || recipe.dataset?.resolution || 512),
    };
    const start = button("Draw", () => app.attempt(() => this.#draw(), start), { kind: "primary", data: { action: "tryout" } });
    this.node = el(
      "section.card",
      { "aria-label": "Try out" },
      el("h2.title", {}, "Try out"),
      el("p.help", {}, "Draws every prompt with each selected save, all with the same seed."),
      el("label.field", {}, el("span.label", {}, "Prompts, one per line"), this.#prompts),
      el(
        "div.fields.narrow",
        {},
        this.#negative.node,
        Object.values(this.#numbers).map(({ node }) => node),
      ),
      el("div.row", {}, start),
      this.#result,
    );
  }

  /** Draws one picture after the other. Raises Error, ApiError. */
  async #draw() {
    const turn = ++this.#turn;
    const { run, base, saves } = this.#selection();
    const prompts = this.#prompts.value.split("\n");
    while (prompts.length > 1 && !prompts.at(-1)?.trim()) prompts.pop();
    const columns = saves.map(({ step }) => column(step));
    if (base) columns.unshift({ label: "None", step: null });
    if (!columns.length) throw new Error("Select at least one save, or None.");
    const settings = this.#settings();
    const cells = prompts.map(() => columns.map(() => el("td", {}, el("div.placeholder"))));
    fill(this.#result, tableNode(columns, prompts, cells));
    for (const [at, { label, step }] of columns.entries()) {
      for (const [row, prompt] of prompts.entries()) {
        if (turn !== this.#turn) return;
        /** @type {{ picture: string }} */
        const { picture } = await this.#app.api.post(`runs/${part(run)}/tryout`, { prompt, save: step, ...settings });
        if (!String(picture).startsWith("data:image/")) throw new Error("The server sent no picture.");
        fill(cells[row][at], pictureNode(picture, `${promptText(prompt)}, ${label}`));
      }
    }
  }

  /** Returns the settings of all pictures. Raises Error where one isn't a number. */
  #settings() {
    /** @type {Record<string, string | number>} */
    const found = { negative: this.#negative.input.value };
    for (const [name, { label, input }] of Object.entries(this.#numbers)) {
      const value = Number(input.value.replace(",", "."));
      if (!Number.isFinite(value)) throw new Error(`${label} must be a number.`);
      found[name] = value;
    }
    return found;
  }
}

/**
 * @param {string} label
 * @param {string} name
 * @param {string | number} value
 * @param {"text" | "decimal"} inputmode
 */
function field(label, name, value, inputmode = "decimal") {
  const input = el("input.input", { type: "text", inputmode, value: String(value), data: { field: name } });
  return { label, input, node: el("label.field.stretch", {}, el("span.label", {}, label), input) };
}

/**
 * @param {number} step
 * @returns {Column}
 */
function column(step) {
  return { label: `Step ${step}`, step };
}

/**
 * @param {Column[]} columns
 * @param {string[]} prompts
 * @param {HTMLElement[][]} cells by prompt and column
 */
function tableNode(columns, prompts, cells) {
  const heads = el(
    "tr",
    {},
    el("td"),
    columns.map(({ label }) => el("th", { scope: "col" }, label)),
  );
  const rows = prompts.map((prompt, row) => el("tr", {}, el("th.prompt", { scope: "row" }, promptText(prompt)), cells[row]));
  return el("div.table-box", {}, el("table.table.pictures", {}, el("thead", {}, heads), el("tbody", {}, rows)));
}

/**
 * @param {string} source
 * @param {string} alt
 */
function pictureNode(source, alt) {
  const image = el("img.control", { src: source, alt });
  image.addEventListener("load", () => image.classList.toggle("sdft-pixels", image.naturalWidth <= SMALL));
  return image;
}

/** @param {string} prompt */
function promptText(prompt) {
  return prompt || "(empty prompt)";
}
