// What shall be done with the pictures.

import { el, freshId } from "../shared/dom.mjs";

const KEPT = "sdft.preparation";

/** `changed()` is called when one of them changes. `values()` are those that the server expects. */
export function preparationOptions(app, changed) {
  const faces = app.can("faces");
  const fields = {
    cut: choice("Cut", [["buckets", "To buckets"], ["whole", "Keep whole"]]),
    focus: choice("Crops lie", [["middle", "In the middle"], ["edges", "On edges"], ["entropy", "On variety"], ...(faces ? [["faces", "On faces"]] : [])]),
    split: choice("Split into tiles", [["off", "None"], ["long", "Long ones"], ["large", "Large ones"]]),
    overlap: number("Overlap", 20, 0, 80, "%"),
    mirror: choice("Mirrored copies", [["false", "No"], ["true", "One of each"]]),
    alpha: choice("Transparency", [["composite", "On background"], ["mask", "As mask too"]]),
    background: colour("Background", "#ffffff"),
    format: choice("Format", [["png", "PNG"], ["jpeg", "JPEG"], ["webp", "WebP"]]),
    quality: number("Quality", 95, 1, 100, ""),
  };
  fields.cut.input.title = "Buckets: the sizes that training cuts to, by the recipe's resolution and bucket settings. Whole: every picture keeps its size.";
  fields.split.input.title = "Long: a single cut would lose more than 15 %. Large: at least twice the bucket along both sides; tiles keep their detail.";
  restore(fields);
  const node = el("div.fields.narrow", { role: "group", "aria-label": "What is done" }, Object.values(fields).map((field) => field.node));

  function follow() {
    const buckets = fields.cut.value === "buckets";
    fields.focus.node.hidden = fields.split.node.hidden = !buckets;
    fields.overlap.node.hidden = !buckets || fields.split.value === "off";
    fields.quality.node.hidden = fields.format.value === "png";
  }

  for (const [name, field] of Object.entries(fields)) {
    field.input.dataset.option = name;
    field.input.addEventListener(field.input.tagName === "SELECT" ? "change" : "input", () => {
      follow();
      keep(fields);
      if (field.fine) changed();
    });
  }
  follow();

  return {
    node,
    values() {
      const buckets = fields.cut.value === "buckets";
      return {
        cut: fields.cut.value,
        focus: buckets ? fields.focus.value : "middle",
        split: buckets ? fields.split.value : "off",
        overlap: Number(fields.overlap.value) / 100,
        mirror: fields.mirror.value === "true",
        alpha: fields.alpha.value,
        background: fields.background.value,
        format: fields.format.value,
        quality: Number(fields.quality.value),
      };
    },
  };
}

function field(label, input, range = "") {
  const id = freshId("sdft-preparation");
  input.id = id;
  return {
    input,
    node: el("div.field", {}, el("div.field-head", {}, el("label.label", { htmlFor: id }, label), range && el("span.range", {}, range)), input),
    get value() {
      return input.value;
    },
    set value(value) {
      input.value = value;
    },
    /** Whether it holds what can be sent. */
    get fine() {
      return input.checkValidity();
    },
  };
}

function choice(label, choices) {
  return field(label, el("select.input", {}, choices.map(([value, words]) => el("option", { value }, words))));
}

function number(label, value, low, high, unit) {
  return field(label, el("input.input.number", { type: "number", value: String(value), min: String(low), max: String(high), step: "1", required: true }), `${low}–${high}${unit && ` ${unit}`}`);
}

function colour(label, value) {
  return field(label, el("input.input.colour", { type: "color", value }));
}

function keep(fields) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.value]))));
  } catch {
    // Without storage they begin anew with the page.
  }
}

function restore(fields) {
  let kept = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    // As above.
  }
  for (const [name, one] of Object.entries(fields)) {
    const before = one.value;
    if (typeof kept[name] === "string") one.value = kept[name];
    if (!one.fine || one.value === "") one.value = before;
  }
}
