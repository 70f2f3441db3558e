// The options of a preparation: what is done with the pictures.

import { el, freshId } from "../shared/dom.mjs";
import { readJson, writeJson } from "../shared/storage.mjs";

/** @import { App } from "../types.d.ts" */

const KEPT = "sdft.preparation";

/**
 * @typedef {object} Field
 * @property {HTMLInputElement | HTMLSelectElement} input
 * @property {HTMLElement} node
 */

export class PreparationOptions {
  #fields;

  /**
   * `changed()` is called when an option changes to something that can be sent.
   * @param {App} app
   * @param {() => void} changed
   */
  constructor(app, changed) {
    this.#fields = makeFields(app.can("faces"));
    restore(this.#fields);
    for (const [name, { input }] of Object.entries(this.#fields)) {
      input.dataset.option = name;
      input.addEventListener(input.tagName === "SELECT" ? "change" : "input", () => {
        this.#follow();
        keep(this.#fields);
        if (input.checkValidity()) changed();
      });
    }
    this.node = el(
      "div.fields.narrow",
      { role: "group", "aria-label": "What is done" },
      Object.values(this.#fields).map(({ node }) => node),
    );
    this.#follow();
  }

  /** Hides the options that have no effect now. */
  #follow() {
    const { cut, focus, split, overlap, format, quality } = this.#fields;
    const buckets = cut.input.value === "buckets";
    focus.node.hidden = split.node.hidden = !buckets;
    overlap.node.hidden = !buckets || split.input.value === "off";
    quality.node.hidden = format.input.value === "png";
  }

  /** Returns the options as the server reads them. */
  get values() {
    const { cut, focus, split, overlap, mirror, alpha, background, format, quality } = this.#fields;
    const buckets = cut.input.value === "buckets";
    return {
      cut: cut.input.value,
      focus: buckets ? focus.input.value : "middle",
      split: buckets ? split.input.value : "off",
      overlap: Number(overlap.input.value) / 100,
      mirror: mirror.input.value === "true",
      alpha: alpha.input.value,
      background: background.input.value,
      format: format.input.value,
      quality: Number(quality.input.value),
    };
  }
}

/** @param {boolean} faces whether the server can find faces */
function makeFields(faces) {
  const fields = {
    cut: choice("Crop", [
      ["buckets", "To buckets"],
      ["whole", "Keep whole"],
    ]),
    focus: choice("Place crops", [
      ["middle", "In the middle"],
      ["edges", "On edges"],
      ["entropy", "On detail"],
      ...(faces ? [["faces", "On faces"]] : []),
    ]),
    split: choice("Split into tiles", [
      ["off", "None"],
      ["long", "Long pictures"],
      ["large", "Large pictures"],
    ]),
    overlap: number("Overlap", 20, 0, 80, "%"),
    mirror: choice("Mirrored copies", [
      ["false", "None"],
      ["true", "One of each"],
    ]),
    alpha: choice("Transparency", [
      ["composite", "On background"],
      ["mask", "Also as a mask"],
    ]),
    background: colour("Background", "#ffffff"),
    format: choice("Format", [
      ["png", "PNG"],
      ["jpeg", "JPEG"],
      ["webp", "WebP"],
    ]),
    quality: number("Quality", 95, 1, 100, ""),
  };
  fields.cut.input.title =
    "To buckets: the sizes that training crops to, from the recipe's resolution and bucket settings. Keep whole: every picture keeps its size.";
  fields.split.input.title =
    "Long: a single crop would lose more than 15 %. Large: at least twice the bucket's size along both sides; tiles keep their detail.";
  return fields;
}

/**
 * @template {HTMLInputElement | HTMLSelectElement} T
 * @param {string} label
 * @param {T} input
 * @param {string} range
 */
function labelled(label, input, range = "") {
  input.id = freshId("sdft-preparation");
  const head = el("div.field-head", {}, el("label.label", { htmlFor: input.id }, label), range && el("span.range", {}, range));
  return { input, node: el("div.field", {}, head, input) };
}

/**
 * @param {string} label
 * @param {string[][]} choices each a value and its text
 */
function choice(label, choices) {
  return labelled(
    label,
    el(
      "select.input",
      {},
      choices.map(([value, text]) => el("option", { value }, text)),
    ),
  );
}

/**
 * @param {string} label
 * @param {number} value
 * @param {number} low
 * @param {number} high
 * @param {string} unit
 */
function number(label, value, low, high, unit) {
  const input = el("input.input.number", {
    type: "number",
    value: String(value),
    min: String(low),
    max: String(high),
    step: "1",
    required: true,
  });
  return labelled(label, input, `${low}–${high}${unit && ` ${unit}`}`);
}

/**
 * @param {string} label
 * @param {string} value
 */
function colour(label, value) {
  return labelled(label, el("input.input.colour", { type: "color", value }));
}

/** @param {Record<string, Field>} fields */
function keep(fields) {
  writeJson(() => sessionStorage, KEPT, Object.fromEntries(Object.entries(fields).map(([name, { input }]) => [name, input.value])));
}

/**
 * Sets what was kept, where it can be sent.
 * @param {Record<string, Field>} fields
 */
function restore(fields) {
  const kept = /** @type {Record<string, unknown>} */ (readJson(() => sessionStorage, KEPT) ?? {});
  for (const [name, { input }] of Object.entries(fields)) {
    const before = input.value;
    const value = kept[name];
    if (typeof value === "string") input.value = value;
    if (!input.checkValidity() || input.value === "") input.value = before;
  }
}
