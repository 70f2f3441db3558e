// Shows one setting of the recipe: label, help, range, its control, the guide's explanation, and the way back to the default.

import { button, el, fill, freshId } from "./dom.mjs";
import { inputOf } from "./field_inputs.mjs";
import { rangeOf, shown } from "./setting_text.mjs";

/** @import { App, Child, Field } from "../types.d.ts" */
/** @import { Card } from "./field_inputs.mjs" */

/**
 * @typedef {object} FieldOptions
 * @property {string} [label] instead of the field's own
 * @property {string} [help] instead of the field's own; empty for none
 * @property {Card[]} [cards] shows a choice as cards
 * @property {Child} [tail] shown below the control and its help
 * @property {string} [mark] the data attribute that holds the path: only one place of the page has `path`
 */

/**
 * Shows one setting. It follows the draft, whoever changes it.
 * @param {App} app
 * @param {string} path
 * @param {FieldOptions} options
 */
export function settingField(app, path, { label, help, cards, tail = null, mark = "path" } = {}) {
  const { draft } = app;
  const field = draft.fieldOf(path);
  const id = freshId("sdft-field");
  const name = label ?? field.label;
  const input = inputOf({ app, path, field, id, name }, cards);
  const problem = el("p.problem", { id: `${id}-problem`, role: "alert", hidden: true });
  const reset = button("Reset", () => draft.reset(path), { kind: "link", "aria-label": `Reset ${name}`, data: { action: "reset" } });
  // A field that starts empty needs no way back: emptying it is enough.
  const empty = draft.default(path) === "";
  const text = help ?? field.help;
  const node = el(
    empty ? "div.field.plain" : "div.field",
    { data: { [mark]: path } },
    ...head(app, field, { id, name, reset, grouped: Boolean(cards) || field.type === "list" || field.type === "map" }),
    input.node,
    text && el("p.help", { id: `${id}-help` }, text),
    tail,
    problem,
  );

  const follow = () => {
    input.show(draft.get(path) ?? null);
    const changed = draft.changed(path);
    node.classList.toggle("sdft-changed", changed);
    // What can't be read hasn't changed the recipe, and is undone in the same way.
    reset.hidden = !(changed || draft.invalid.has(path)) || empty;
    reset.title = `Back to ${shown(draft.default(path))}`;
    showProblem();
  };
  const showProblem = () => {
    const sentence = draft.invalid.get(path) ?? app.problems.get(path) ?? "";
    problem.textContent = sentence;
    problem.hidden = !sentence;
    node.classList.toggle("sdft-wrong", Boolean(sentence));
    node.querySelectorAll("input, select, textarea").forEach((one) => one.setAttribute("aria-invalid", String(Boolean(sentence))));
  };
  app.whenDraft(node, (paths) => {
    if (!paths || paths.includes(path)) follow();
  });
  app.whenProblems(node, showProblem);
  follow();
  return node;
}

/**
 * Makes the line above a control (its name, range, "?" and reset), and the explanation below that line.
 * @param {App} app
 * @param {Field} field
 * @param {{ id: string, name: string, reset: HTMLElement, grouped: boolean }} parts grouped: of several inputs, which no single label names
 */
function head(app, field, { id, name, reset, grouped }) {
  const range = rangeOf(field);
  const explanation = explanationOf(app, field, id, name);
  return [
    el(
      "div.field-head",
      {},
      grouped ? el("span.label", { id: `${id}-label` }, name) : el("label.label", { htmlFor: id }, name),
      range && el("span.range", {}, range),
      explanation?.button,
      el("span.spring"),
      reset,
    ),
    explanation?.node,
  ];
}

/**
 * Makes the "?" of a setting and the guide's text that it shows below; null where the guide has none.
 * @param {App} app
 * @param {Field} field
 * @param {string} id
 * @param {string} name
 */
function explanationOf(app, { guide }, id, name) {
  const entry = guide && app.guide.entries.find((one) => one.id === guide);
  if (!entry) return null;
  const node = el("div.explanation", { id: `${id}-explanation`, hidden: true, data: { role: "explanation" } });
  const pressed = button("?", toggle, {
    kind: "explain",
    title: `What is this? ${entry.term}`,
    "aria-label": `Explain ${name}`,
    "aria-expanded": "false",
    "aria-controls": node.id,
    data: { action: "explain" },
  });

  function toggle() {
    if (!entry) return;
    node.hidden = !node.hidden;
    pressed.setAttribute("aria-expanded", String(!node.hidden));
    if (node.children.length) return;
    const more = button("More in the guide", () => app.showGuide(entry.id), { kind: "link", data: { action: "guide" } });
    const text = el("p", {}, el("strong", {}, `${entry.term}. `), entry.text);
    fill(node, text, entry.command && el("code.command", {}, entry.command), more);
  }

  return { button: pressed, node };
}
