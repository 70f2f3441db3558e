// The Tools panel: finished files merged, extracted, resized, converted, and inspected.

import { el, fill, freshId } from "../shared/dom.mjs";
import { baseName } from "./files.mjs";
import { ToolForm } from "./form.mjs";
import { inspectionCard } from "./inspection.mjs";
import { JobCard } from "./job.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { Description, Scan, ToolJob, Tools } from "./types.d.ts" */

/** @param {App} app */
export function toolsPanel(app) {
  return new ToolsPanel(app);
}

class ToolsPanel {
  #app;
  #cards = el("div.choices", { role: "radiogroup", "aria-label": "Tool" });
  #form = el("div.stack");
  #result = el("div.stack");
  /** Tells a screen reader that there is a result; all of it would be too much. */
  #spoken = el("span.spoken", { role: "status" });
  #job;
  /** What the server offers. @type {Tools} */
  #known = { tools: [], files: [], places: {} };
  /** The name of the tool that is shown. @type {string | null} */
  #chosen = null;
  /** The name of the tool to show when the panel opens. @type {string | null} */
  #asked = null;
  /** @type {Map<string, ToolForm>} */
  #forms = new Map();
  /** @type {Map<string, HTMLInputElement>} */
  #radios = new Map();

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#job = new JobCard(app, { ended: (job) => this.#ended(job), inspect: (path) => this.#inspect(path) });
    const help = "These work on finished files. The loaded model isn't needed, and training continues.";
    this.node = el(
      "div.stack.tools",
      {},
      el("section.card", { "aria-label": "Tools" }, el("h2.title", {}, "Tools"), el("p.help", {}, help), this.#cards),
      el("section.card", { "aria-label": "Tool settings" }, this.#form),
      this.#job.node,
      this.#spoken,
      this.#result,
    );
  }

  async #load() {
    this.#known = await this.#app.api.get("tools");
    if (!this.#radios.size) this.#drawCards();
    for (const form of this.#forms.values()) form.follow();
  }

  #drawCards() {
    const group = freshId("sdft-tool");
    const cards = this.#known.tools.map(({ name, label, help }) => {
      const radio = el("input", { type: "radio", name: group, value: name, onchange: () => this.#show(name) });
      this.#radios.set(name, radio);
      return el("label.choice", { data: { tool: name } }, radio, el("span.choice-label", {}, label), el("span.choice-help", {}, help));
    });
    fill(this.#cards, cards);
  }

  /**
   * Shows a tool.
   * @param {string} name
   */
  #show(name) {
    if (this.#chosen !== name) fill(this.#result);
    this.#chosen = name;
    const radio = this.#radios.get(name);
    if (radio) radio.checked = true;
    const form = this.#formOf(name);
    if (form) fill(this.#form, form.node);
    return form;
  }

  /**
   * Returns a tool's controls, which are made when it is shown for the first time.
   * @param {string} name
   */
  #formOf(name) {
    const tool = this.#known.tools.find((one) => one.name === name);
    let form = this.#forms.get(name);
    if (!form && tool) {
      form = new ToolForm(tool, {
        known: () => this.#known,
        loaded: this.#app.session.host.model?.path ?? "",
        run: (one) => this.#run(one),
        failed: () => !tool.makes && fill(this.#result),
      });
      this.#forms.set(name, form);
    }
    return form;
  }

  /** Shows a tool once the panel is open. @param {string} name */
  choose(name) {
    this.#asked = name;
  }

  /** @param {ToolForm} form */
  async #run(form) {
    const { name, makes } = form.tool;
    if (makes) {
      await this.#app.api.post("tools", { tool: name, name: form.name, settings: form.settings });
      fill(this.#result);
      await this.#job.now();
    } else {
      /** @type {Description | Scan} */
      const found = await this.#app.api.post("tools/look", { tool: name, settings: form.settings });
      if (this.#chosen !== name) return;
      fill(this.#result, inspectionCard(found));
      this.#spoken.textContent = `The contents of ${baseName(found.file)} are below.`;
    }
  }

  /**
   * Follows a tool that has ended: what it made can be chosen.
   * @param {ToolJob} job
   */
  async #ended(job) {
    await this.#load();
    if (job.state === "finished") this.#app.say(job.message);
  }

  /** @param {string} path */
  #inspect(path) {
    const form = this.#show("metadata");
    form?.put(path);
    form?.start();
  }

  shown() {
    return this.#app.attempt(async () => {
      await this.#load();
      const job = await this.#job.now();
      const wanted = this.#asked ?? (this.#chosen ? null : job.tool || this.#known.tools[0].name);
      this.#asked = null;
      if (wanted) this.#show(wanted);
    });
  }
}
