// The kinds of control that a setting can have. Each gives its element and `show(value)`, which leaves alone what is being typed.

import { button, el, fill, freshId } from "./dom.mjs";
import { chooseFolder } from "./folders.mjs";
import { plain } from "./numbers.mjs";
import { choiceLabel, inRange, mapOf, readNumber, unquoted } from "./setting_text.mjs";

/** @import { App, Child, Field, Value } from "../types.d.ts" */

/**
 * What a control is made from.
 * @typedef {object} Parts
 * @property {App} app
 * @property {string} path
 * @property {Field} field
 * @property {string} id
 * @property {string} name the setting's label
 */
/** @typedef {{ value: string, label: string, help?: string, more?: Child, disabled?: boolean }} Card a choice shown as a card */
/** @typedef {{ node: HTMLElement, show: (value: Value) => void }} Input */

/** Makes the control for a field; with `cards`, one card for each choice. @param {Parts} parts @param {Card[]} [cards] @returns {Input} */
export function inputOf(parts, cards) {
  return cards ? cardInput(parts, cards) : INPUTS[parts.field.type](parts);
}

/** @type {Record<Field["type"], (parts: Parts) => Input>} */
const INPUTS = {
  text: textInput,
  int: (parts) => numberInput(parts, true),
  float: (parts) => numberInput(parts, false),
  bool: switchInput,
  choice: choiceInput,
  list: listInput,
  map: mapInput,
};

/** @param {Parts} parts @returns {Input} */
function textInput({ app, path, field, id, name }) {
  const input = el("input.input", { id, type: "text", spellcheck: "false", autocomplete: "off", "aria-describedby": describedBy(id) });
  input.addEventListener("input", () => app.draft.set(path, input.value));
  input.addEventListener("change", () => {
    const plainPath = unquoted(input.value);
    if (field.is_path && plainPath !== input.value) app.draft.set(path, plainPath);
  });
  /** @param {Value} value */
  const show = (value) => {
    if (input.value !== String(value)) input.value = String(value);
  };
  if (!field.is_folder) return { node: input, show };
  const browse = async () => {
    const chosen = await chooseFolder(app, input.value, name);
    if (chosen !== null) app.draft.set(path, chosen);
  };
  const labels = { "aria-label": `Browse for ${name}`, data: { action: "browse" } };
  return { node: el("div.row.together", {}, input, button("Browse…", browse, labels)), show };
}

/** @param {Parts} parts @param {boolean} whole @returns {Input} */
function numberInput({ app, path, field, id }, whole) {
  const input = el("input.input.number", {
    id,
    type: "text",
    inputmode: whole ? "numeric" : "decimal",
    autocomplete: "off",
    "aria-describedby": describedBy(id),
  });
  input.addEventListener("input", () => {
    const value = readNumber(input.value, whole);
    if (value === null || !inRange(value, field)) app.draft.mark(path, `Enter ${field.allowed}.`);
    else app.draft.set(path, value);
  });
  return {
    node: input,
    show: (value) => {
      if (app.draft.invalid.has(path)) return;
      if (document.activeElement === input && readNumber(input.value, whole) === value) return;
      input.value = plain(value);
    },
  };
}

/** @param {Parts} parts @returns {Input} */
function switchInput({ app, path, id }) {
  const input = el("input.switch", { id, type: "checkbox", role: "switch", "aria-describedby": describedBy(id) });
  input.addEventListener("change", () => app.draft.set(path, input.checked));
  return {
    node: el("div.switch-box", {}, input),
    show: (value) => {
      input.checked = value === true;
    },
  };
}

/** @param {Parts} parts @returns {Input} */
function choiceInput({ app, path, field, id }) {
  const options = field.choices.map((choice) => el("option", { value: choice }, choiceLabel(choice)));
  const select = el("select.input", { id, "aria-describedby": describedBy(id) }, options);
  select.addEventListener("change", () => app.draft.set(path, select.value));
  return {
    node: select,
    show: (value) => {
      select.value = String(value);
    },
  };
}

/** @param {Parts} parts @param {Card[]} cards @returns {Input} */
function cardInput({ app, path, name }, cards) {
  const group = freshId("sdft-group");
  const inputs = cards.map(({ value, label, help, more, disabled }) => {
    const input = el("input", { type: "radio", name: group, value, disabled: Boolean(disabled) });
    input.addEventListener("change", () => app.draft.set(path, value));
    const node = el("label.choice", {}, input, el("span.choice-label", {}, label), help && el("span.choice-help", {}, help), more);
    return { input, value, node };
  });
  return {
    node: el("div.choices", { role: "radiogroup", "aria-label": name }, inputs.map((one) => one.node)),
    show: (value) => {
      for (const one of inputs) one.input.checked = one.value === value;
    },
  };
}

/** @param {Parts} parts @returns {Input} */
function listInput({ app, path, id }) {
  const { rows, node } = group(id);
  /** @type {string[]} */
  let lines = [];
  const send = () => app.draft.set(path, [...lines]);
  /** @param {string} line @param {number} number */
  const row = (line, number) => {
    const input = el("input.input", { type: "text", value: line, placeholder: "(empty prompt)", "aria-label": `Line ${number + 1}` });
    input.addEventListener("input", () => {
      lines[number] = input.value;
      send();
    });
    const drop = () => {
      lines.splice(number, 1);
      send();
    };
    return el("div.row.together", {}, input, removeButton(`Remove line ${number + 1}`, drop));
  };
  const add = () => {
    lines.push("");
    send();
    rows.lastElementChild?.querySelector("input")?.focus();
  };
  node.append(button("Add a line", add, { kind: "small", data: { action: "add" } }));
  return {
    node,
    show: (value) => {
      const typed = [...rows.querySelectorAll("input")].map((input) => input.value);
      lines = Array.isArray(value) ? value.map(String) : [];
      if (JSON.stringify(typed) !== JSON.stringify(lines)) fill(rows, lines.map(row));
    },
  };
}

/** @param {Parts} parts @returns {Input} */
function mapInput({ app, path, field, id }) {
  const { rows, node } = group(id);
  const whole = typeof Object.values(field.default ?? {})[0] === "number" || field.allowed.includes("whole numbers");
  /** @type {[string, string][]} */
  let pairs = [];
  const send = () => {
    const read = mapOf(pairs, whole);
    if ("problem" in read) app.draft.mark(path, read.problem);
    else app.draft.set(path, read.value);
  };
  const draw = () => fill(rows, pairs.map(row));
  /** @param {[string, string]} pair @param {number} number */
  const row = (pair, number) => {
    /** @param {0 | 1} place @param {string} label */
    const input = (place, label) => {
      const one = el("input.input", { type: "text", value: pair[place], placeholder: label, "aria-label": `${label} ${number + 1}` });
      one.addEventListener("input", () => {
        pair[place] = one.value;
        send();
      });
      return one;
    };
    const drop = () => {
      pairs.splice(number, 1);
      send();
      draw();
    };
    return el("div.row.together", {}, input(0, "Name"), input(1, "Value"), removeButton(`Remove ${pair[0] || "line"}`, drop));
  };
  const add = () => {
    pairs.push(["", ""]);
    draw();
    rows.lastElementChild?.querySelector("input")?.focus();
  };
  node.append(button("Add a value", add, { kind: "small", data: { action: "add" } }));
  return {
    node,
    show: (value) => {
      if (app.draft.invalid.has(path)) return;
      const mine = JSON.stringify(Object.fromEntries(pairs.filter(([key]) => key)));
      /** @type {[string, string][]} */
      const theirs = Object.entries(value ?? {}).map(([key, one]) => [key, String(one)]);
      if (mine === JSON.stringify(Object.fromEntries(theirs))) return;
      pairs = theirs;
      draw();
    },
  };
}

/** Makes the place for a control of several rows. @param {string} id */
function group(id) {
  const rows = el("div.rows");
  return { rows, node: el("div", { role: "group", "aria-labelledby": `${id}-label`, "aria-describedby": describedBy(id) }, rows) };
}

/** @param {string} label @param {() => unknown} onclick */
function removeButton(label, onclick) {
  return button("×", onclick, { kind: "icon", "aria-label": label, title: label, data: { action: "remove" } });
}

/** @param {string} id */
function describedBy(id) {
  return `${id}-help ${id}-problem`;
}
