// What a tool asks for: files from the server's lists or by their path, LoRAs with weights, numbers and choices.

import { button, el, fill, freshId } from "../shared/dom.mjs";
import { megabytes } from "../shared/numbers.mjs";

const TYPED = "";
const PICKLE = /\.(ckpt|pt|pth|bin)$/i;
const SUITS = {
  checkpoint: (file) => file.kind === "checkpoint",
  lora: (file) => file.kind === "lora",
  loras: (file) => file.kind === "lora",
  any: (file) => !PICKLE.test(file.path),
  pickle: (file) => PICKLE.test(file.path),
};

/** A path's last part; and that without its ending. */
export const base = (path) => path.split(/[\\/]/).pop();
export const stem = (path) => base(path).replace(/\.[a-z]+$/i, "");

/**
 * { field, node, value(), follow(), stem?(), put?(path) }; `files()` are the server's, `changed()` hears every change.
 * `loaded`: the path of the loaded model, which a tool is given first; what was made from it is another one.
 */
export function fieldControl(field, files, changed, loaded = "") {
  const suited = () => files().filter(SUITS[field.kind]);
  if (field.kind === "loras") return weighted(field, suited, changed);
  if (field.kind in SUITS) {
    const first = (all) => (field.name === "tuned" ? all.find((file) => file.path !== loaded) : all.find((file) => file.path === loaded)) ?? all[0];
    const choice = fileChoice(field.label, suited, changed, first);
    choice.box.dataset.tool = field.name;
    return { ...choice, field, node: labelled(field, choice.box, choice.select) };
  }
  const none = { field, follow: () => {} };
  if (field.kind === "switch") {
    const input = el("input", { type: "checkbox", checked: field.default, data: { tool: field.name }, onchange: changed });
    return { ...none, node: el("label.check", {}, input, el("span", {}, field.label, " ", el("span.quiet", {}, field.help))), value: () => input.checked };
  }
  if (field.kind === "choice") {
    const input = el("select.input", { data: { tool: field.name }, onchange: changed }, field.choices.map(([value, label]) => el("option", { value }, label)));
    input.value = field.default;
    return { ...none, node: labelled(field, input), value: () => input.value };
  }
  const input = el("input.input.number", { type: "number", inputmode: "decimal", min: 0, step: field.kind === "rank" ? 1 : "any", value: field.default ? String(field.default) : "", data: { tool: field.name }, oninput: changed });
  return {
    ...none,
    node: labelled(field, input),
    value() {
      if (!input.validity.valid && input.validity.badInput) throw new Error(`${field.label}: write a number, or leave it empty.`);
      return input.value.trim() === "" ? 0 : Number(input.value);
    },
  };
}

/** A list of files, and a line for a path that isn't on it. */
function fileChoice(label, files, changed, first = (all) => all[0]) {
  const select = el("select.input", { "aria-label": label, onchange: () => follow(true) });
  const typed = el("input.input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: "Its whole path", "aria-label": `${label}: path`, oninput: changed });
  const box = el("div.stack.tight.file-choice", {}, select, typed);
  let shown = null;

  function draw() {
    const all = files();
    const text = JSON.stringify(all.map((file) => [file.path, file.bytes]));
    if (text === shown) return;
    const before = shown === null ? first(all)?.path ?? TYPED : select.value;
    shown = text;
    const groups = [...new Set(all.map((file) => file.group))];
    fill(
      select,
      groups.map((group) => {
        const node = el("optgroup", { label: group });
        fill(node, all.filter((file) => file.group === group).map((file) => el("option", { value: file.path, title: file.path }, `${file.name}${file.bytes ? ` · ${megabytes(file.bytes / 2 ** 20)}` : ""}`)));
        return node;
      }),
      el("option", { value: TYPED }, "Another file, by its path …"),
    );
    select.value = all.some((file) => file.path === before) ? before : TYPED;
  }

  function follow(byUser = false) {
    draw();
    typed.hidden = select.value !== TYPED;
    if (byUser) {
      if (!typed.hidden) typed.focus();
      changed();
    }
  }

  const value = () => (select.value === TYPED ? typed.value.trim() : select.value);
  follow();
  return {
    box,
    select,
    value,
    follow,
    /** The name without folders and ending. */
    stem: () => stem(value()),
    put(path) {
      follow();
      select.value = path;
      if (select.value !== path) {
        select.value = TYPED;
        typed.value = path;
      }
      follow(true);
    },
  };
}

/** Rows of LoRAs, each with its weight. */
function weighted(field, files, changed) {
  const list = el("div.rows", { role: "list" });
  const rows = [];

  function add() {
    const choice = fileChoice("LoRA", files, changed);
    const weight = el("input.input.number.weight", { type: "number", inputmode: "decimal", step: 0.05, value: "1", "aria-label": "Weight", data: { tool: "weight" } });
    const remove = button("×", () => {
      const place = rows.indexOf(row);
      rows.splice(place, 1);
      row.node.remove();
      (rows[place] ?? rows[place - 1])?.remove.focus();
      if (!rows.length) more.focus();
      changed();
    }, { kind: "icon", "aria-label": "Leave this LoRA out", data: { action: "tool-remove" } });
    const row = { choice, weight, remove, node: el("div.row.lora-row", { role: "listitem", data: { tool: "lora" } }, choice.box, weight, remove) };
    rows.push(row);
    list.append(row.node);
    return row;
  }

  const more = button("Add a LoRA", () => {
    add().choice.select.focus();
    changed();
  }, { kind: "small", data: { action: "tool-add" } });
  add();
  return {
    field,
    node: el("div.field.wide-field", { role: "group", "aria-label": field.label }, el("span.label", {}, field.label), list, el("div.row", {}, more), field.help && el("p.help", {}, field.help)),
    value: () =>
      rows.map(({ choice, weight }) => {
        const number = Number(weight.value);
        if (weight.value.trim() === "" || !Number.isFinite(number)) throw new Error("Write each weight as a number, such as 0.8.");
        return { file: choice.value(), weight: number };
      }),
    follow: () => rows.forEach(({ choice }) => choice.follow()),
    stem: () => rows[0]?.choice.stem() ?? "",
  };
}

/** A control with its label and a word of help; `input` is what the label names, where it isn't the control itself. */
function labelled(field, control, input = control) {
  input.id = freshId("sdft-tool");
  return el("div.field", {}, el("label.label", { htmlFor: input.id }, field.label), control, field.help && el("p.help", {}, field.help));
}
