// What a tool asks for: files, LoRAs with weights, numbers and choices, each as a control.

import { el, freshId } from "../shared/dom.mjs";
import { FileChoice } from "./file_choice.mjs";
import { acceptedFiles, takesFile } from "./files.mjs";
import { WeightedLoras } from "./weighted_loras.mjs";

/** @import { FieldControl, ListedFile, ToolField } from "./types.d.ts" */

/**
 * Makes the control of a field. `loaded`: the path of the loaded model, which a tool is offered first; what was made from it is
 * another file.
 * @param {ToolField} field
 * @param {() => ListedFile[]} files of the server
 * @param {() => void} changed
 * @param {string} loaded
 * @returns {FieldControl}
 */
export function fieldControl(field, files, changed, loaded = "") {
  const accepted = () => acceptedFiles(files(), field.kind);
  if (field.kind === "loras") return new WeightedLoras(field, accepted, changed);
  if (takesFile(field.kind)) return fileControl(field, accepted, changed, loaded);
  if (field.kind === "switch") return switchControl(field, changed);
  return field.kind === "choice" ? choiceControl(field, changed) : numberControl(field, changed);
}

/**
 * @param {ToolField} field
 * @param {() => ListedFile[]} files
 * @param {() => void} changed
 * @param {string} loaded
 * @returns {FieldControl}
 */
function fileControl(field, files, changed, loaded) {
  /** @param {ListedFile[]} all */
  const first = (all) => all.find(({ path }) => (field.name === "tuned" ? path !== loaded : path === loaded)) ?? all[0];
  const choice = new FileChoice(field.label, files, changed, first);
  choice.node.dataset.tool = field.name;
  return {
    field,
    node: labelled(field, choice.node, choice.select),
    value: () => choice.value(),
    follow: () => choice.follow(),
    stem: () => choice.stem(),
    put: (path) => choice.put(path),
  };
}

/**
 * @param {ToolField} field
 * @param {() => void} changed
 * @returns {FieldControl}
 */
function switchControl(field, changed) {
  const input = el("input", { type: "checkbox", checked: field.default === true, data: { tool: field.name }, onchange: changed });
  return {
    field,
    node: el("label.check", {}, input, el("span", {}, field.label, " ", el("span.quiet", {}, field.help))),
    value: () => input.checked,
    follow() {},
  };
}

/**
 * @param {ToolField} field
 * @param {() => void} changed
 * @returns {FieldControl}
 */
function choiceControl(field, changed) {
  const input = el(
    "select.input",
    { data: { tool: field.name }, onchange: changed },
    field.choices.map(([value, label]) => el("option", { value }, label)),
  );
  input.value = String(field.default);
  return { field, node: labelled(field, input), value: () => input.value, follow() {} };
}

/**
 * @param {ToolField} field
 * @param {() => void} changed
 * @returns {FieldControl}
 */
function numberControl(field, changed) {
  const input = el("input.input.number", {
    type: "number",
    inputmode: "decimal",
    min: 0,
    step: field.kind === "rank" ? 1 : "any",
    value: field.default ? String(field.default) : "",
    data: { tool: field.name },
    oninput: changed,
  });
  const value = () => {
    if (!input.validity.valid && input.validity.badInput) throw new Error(`${field.label}: enter a number, or leave the field empty.`);
    return input.value.trim() === "" ? 0 : Number(input.value);
  };
  return { field, node: labelled(field, input), value, follow() {} };
}

/**
 * Gives a control its label and its help. `input` is what the label names, where it isn't the control itself.
 * @param {ToolField} field
 * @param {HTMLElement} control
 * @param {HTMLElement} input
 */
function labelled(field, control, input = control) {
  input.id = freshId("sdft-tool");
  return el("div.field", {}, el("label.label", { htmlFor: input.id }, field.label), control, field.help && el("p.help", {}, field.help));
}
