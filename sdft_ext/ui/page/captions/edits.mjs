// Edits of many captions at once: what would change is shown before it does.

import { el, fill, freshId } from "../shared/dom.mjs";
import { ChangePreview } from "./change_preview.mjs";
import { EDIT_KINDS } from "./edit_kinds.mjs";
import { TargetChoice } from "./target_choice.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { EditField, Values } from "./edit_kinds.mjs" */
/** @import { Say } from "./types.d.ts" */

/** As many changed captions are shown. */
const SHOWN = 20;

export class BatchEdits {
  #app;
  #store;
  #kind = el(
    "select.input",
    { "aria-label": "Edit", data: { action: "edit-kind" } },
    EDIT_KINDS.map(({ name, label }) => el("option", { value: name }, label)),
  );
  #fields = el("div.stack.tight");
  #target;
  #preview;
  /** Kept from one kind of edit to the next. @type {Values} */
  #values = { where: "front", place: "2", trigger: "", keep: "0", add: true };

  /**
   * @param {App} app
   * @param {CaptionStore} store
   * @param {Say} say
   */
  constructor(app, store, say) {
    this.#app = app;
    this.#store = store;
    this.#target = new TargetChoice(store, "Captions to edit", () => this.follow());
    this.#preview = new ChangePreview(store, {
      name: "edit",
      role: "preview",
      request: () => this.#request(),
      nothing: () => (this.#target.ids.length ? "" : "No pictures to edit."),
      preview: (request, signal) => store.ask("preview", { ...request, most: SHOWN }, signal),
      apply: (request) => store.edit(request),
      say,
    });
    this.#kind.addEventListener("change", () => {
      this.#draw();
      this.#preview.soon();
    });
    this.node = el("div.cap-body", {}, this.#target.node, this.#kind, this.#fields, this.#preview.nodes);
    this.#draw();
  }

  get #current() {
    return EDIT_KINDS.find(({ name }) => name === this.#kind.value) ?? EDIT_KINDS[0];
  }

  /** Returns the edit and the pictures that it is about, or null where either is missing. */
  #request() {
    const { fields, edit } = this.#current;
    const values = Object.fromEntries(fields.map(({ name, type }) => [name, this.#values[name] ?? (type === "bool" ? false : "")]));
    const made = edit(values);
    const { ids } = this.#target;
    return made && ids.length ? { ids, edit: made } : null;
  }

  #draw() {
    const { help, fields } = this.#current;
    fill(
      this.#fields,
      help && el("p.help", {}, help),
      fields.map((field) => this.#fieldNode(field)),
    );
  }

  /** @param {EditField} field */
  #fieldNode(field) {
    const { name, type, label, when } = field;
    const id = freshId("sdft-edit");
    if (type === "bool") {
      const box = el("input", { type: "checkbox", id, checked: this.#values[name] === true, data: { field: name } });
      box.addEventListener("change", () => this.#set(name, box.checked));
      return el("label.check", {}, box, el("span", {}, label));
    }
    const input = this.#input(field, id);
    input.addEventListener("input", () => this.#set(name, input.value));
    input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && this.#preview.canApply) this.#preview.apply();
    });
    return el(
      "div.field",
      { hidden: when ? !when(this.#values) : false, data: { when: name } },
      el("label.label", { htmlFor: id }, label),
      input,
    );
  }

  /**
   * @param {EditField} field
   * @param {string} id
   * @returns {HTMLElement & { value: string }}
   */
  #input({ name, type, choices = [] }, id) {
    const value = this.#values[name] ?? "";
    const data = { field: name };
    if (type === "choice")
      return el(
        "select.input",
        { id, data },
        choices.map(([choice, text]) => el("option", { value: choice, selected: value === choice }, text)),
      );
    return el(type === "int" ? "input.input.number" : "input.input", {
      id,
      type: "text",
      value,
      spellcheck: "false",
      autocomplete: "off",
      inputmode: type === "int" ? "numeric" : undefined,
      data,
    });
  }

  /**
   * @param {string} name
   * @param {string | boolean} value
   */
  #set(name, value) {
    this.#values[name] = value;
    for (const { name: field, when } of this.#current.fields) {
      /** @type {HTMLElement | null} */
      const node = this.#fields.querySelector(`[data-when="${field}"]`);
      if (when && node) node.hidden = !when(this.#values);
    }
    this.#preview.soon();
  }

  /** Shows how many captions can be edited, and asks for the preview again. */
  follow() {
    this.#target.draw();
    if (this.node.offsetParent) this.#preview.soon();
  }

  /** Asks for the preview again, where it can be seen. */
  update() {
    if (this.node.offsetParent) this.#preview.update();
  }

  /**
   * Prepares renaming a tag.
   * @param {string} tag
   */
  rename(tag) {
    this.#kind.value = "rename";
    this.#values.tag = tag;
    this.#values.to = "";
    this.#draw();
    this.#preview.soon();
    /** @type {HTMLInputElement | null} */
    const field = this.#fields.querySelector("[data-field=to]");
    field?.focus();
  }

  /** Suggests the trigger of the recipe, or the one that the captions seem to have, until the user writes another. */
  suggestTrigger() {
    const trigger = String(this.#app.draft.get("dataset.concepts.0.trigger") ?? "").trim();
    this.#values.trigger ||= trigger || this.#store.trigger;
    if (this.#kind.value === "trigger_first") this.#draw();
  }
}
