// Rows of LoRAs, each with its weight.

import { button, el } from "../shared/dom.mjs";
import { FileChoice } from "./file_choice.mjs";

/** @import { ListedFile, ToolField } from "./types.d.ts" */

/** @typedef {{ choice: FileChoice, weight: HTMLInputElement, remove: HTMLButtonElement, node: HTMLElement }} Row */

export class WeightedLoras {
  #files;
  #changed;
  #list = el("div.rows", { role: "list" });
  /** @type {Row[]} */
  #rows = [];
  #more = button("Add a LoRA", () => this.#addByUser(), { kind: "small", data: { action: "tool-add" } });

  /**
   * @param {ToolField} field
   * @param {() => ListedFile[]} files
   * @param {() => void} changed
   */
  constructor(field, files, changed) {
    this.field = field;
    this.#files = files;
    this.#changed = changed;
    this.node = el(
      "div.field.wide-field",
      { role: "group", "aria-label": field.label },
      el("span.label", {}, field.label),
      this.#list,
      el("div.row", {}, this.#more),
      field.help && el("p.help", {}, field.help),
    );
    this.#add();
  }

  #add() {
    const choice = new FileChoice("LoRA", this.#files, this.#changed);
    const weight = el("input.input.number.weight", {
      type: "number",
      inputmode: "decimal",
      step: 0.05,
      value: "1",
      "aria-label": "Weight",
      data: { tool: "weight" },
    });
    const remove = button("×", () => this.#remove(row), {
      kind: "icon",
      "aria-label": "Remove this LoRA",
      data: { action: "tool-remove" },
    });
    /** @type {Row} */
    const row = {
      choice,
      weight,
      remove,
      node: el("div.row.lora-row", { role: "listitem", data: { tool: "lora" } }, choice.node, weight, remove),
    };
    this.#rows.push(row);
    this.#list.append(row.node);
    return row;
  }

  #addByUser() {
    this.#add().choice.select.focus();
    this.#changed();
  }

  /** @param {Row} row */
  #remove(row) {
    const place = this.#rows.indexOf(row);
    this.#rows.splice(place, 1);
    row.node.remove();
    const next = this.#rows[place] ?? this.#rows[place - 1];
    (next?.remove ?? this.#more).focus();
    this.#changed();
  }

  /** Returns the files with their weights. Raises Error where a weight isn't a number. */
  value() {
    return this.#rows.map(({ choice, weight }) => {
      const number = Number(weight.value);
      if (weight.value.trim() === "" || !Number.isFinite(number)) throw new Error("Enter each weight as a number, such as 0.8.");
      return { file: choice.value(), weight: number };
    });
  }

  follow() {
    for (const { choice } of this.#rows) choice.follow();
  }

  stem() {
    return this.#rows[0]?.choice.stem() ?? "";
  }
}
