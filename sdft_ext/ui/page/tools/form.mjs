// One tool's controls; they keep what was chosen while another tool is used.

import { sentenceOf } from "../shared/api.mjs";
import { button, el, freshId } from "../shared/dom.mjs";
import { fieldControl } from "./fields.mjs";
import { freeName } from "./files.mjs";

/** @import { FieldControl, Tool, ToolField, Tools, ToolValue } from "./types.d.ts" */

/**
 * @typedef {object} FormOptions
 * @property {() => Tools} known what the server offers
 * @property {string} loaded the path of the loaded model
 * @property {(form: ToolForm) => Promise<void>} run raises Error
 * @property {() => void} failed called when that has failed
 */

export class ToolForm {
  #options;
  #controls;
  #name = el("input.input", {
    type: "text",
    id: freshId("sdft-tool-name"),
    spellcheck: "false",
    autocomplete: "off",
    data: { tool: "name" },
    oninput: () => (this.#typed = true),
  });
  #place = el("p.help", { data: { role: "tool-place" } });
  #problem = el("p.problem", { role: "alert", hidden: true });
  #run;
  /** Whether the user has typed a name: then none is suggested. */
  #typed = false;

  /**
   * @param {Tool} tool
   * @param {FormOptions} options
   */
  constructor(tool, options) {
    this.tool = tool;
    this.#options = options;
    /** @type {FieldControl[]} */
    this.#controls = [];
    this.#controls = tool.fields.map((field) =>
      fieldControl(
        field,
        () => options.known().files,
        () => this.#update(),
        options.loaded,
      ),
    );
    this.#run = button(tool.makes ? "Run" : "Inspect", () => this.start(), { kind: "primary", data: { action: "tool-run" } });
    this.node = el(
      "div.stack",
      {},
      el("h2.title", {}, tool.label),
      el(
        "div.fields",
        {},
        this.#controls.map(({ node }) => node),
      ),
      tool.makes && el("div.field", {}, el("label.label", { htmlFor: this.#name.id }, "Name of the result"), this.#name, this.#place),
      this.#problem,
      el("div.row", {}, this.#run),
    );
    this.follow();
  }

  get name() {
    return this.#name.value;
  }

  /** Returns the fields' values by name. Raises Error where one can't be sent. */
  get settings() {
    /** @type {Record<string, ToolValue>} */
    const found = {};
    for (const control of this.#controls) if (this.#counts(control.field)) found[control.field.name] = control.value();
    return found;
  }

  /** @param {ToolField} field */
  #counts({ when }) {
    return !when || this.#controls.find(({ field }) => field.name === when[0])?.value() === when[1];
  }

  /** Takes over new files of the server. */
  follow() {
    for (const control of this.#controls) control.follow();
    this.#update();
  }

  /** Shows the fields that count, where the result goes, and a name for it. */
  #update() {
    for (const control of this.#controls) control.node.hidden = !this.#counts(control.field);
    if (!this.tool.makes) return;
    const { files, places } = this.#options.known();
    const place = places[this.#makes(this.tool.makes)];
    this.#place.textContent = `Written to ${place}. Nothing is overwritten.`;
    if (this.#typed && this.#name.value.trim()) return;
    this.#typed = false;
    const first = this.#controls.map((control) => control.stem?.() ?? "").find(Boolean);
    this.#name.value = first ? freeName(`${first}-${this.tool.ending}`, files, place) : "";
  }

  /**
   * Returns what the tool makes, which a field may choose.
   * @param {string} makes
   */
  #makes(makes) {
    const form = this.#controls.find(({ field }) => field.name === "form" && field.kind === "choice");
    return form ? String(form.value()) : makes;
  }

  /** Runs the tool; a failure is shown above its button. */
  async start() {
    this.#problem.hidden = true;
    this.#run.disabled = true;
    try {
      await this.#options.run(this);
    } catch (error) {
      this.#problem.textContent = sentenceOf(error);
      this.#problem.hidden = false;
      this.#options.failed();
    } finally {
      this.#run.disabled = false;
    }
  }

  /**
   * Chooses the file that the tool is about.
   * @param {string} path
   */
  put(path) {
    this.#controls[0]?.put?.(path);
  }
}
