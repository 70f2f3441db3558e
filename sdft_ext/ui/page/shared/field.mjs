// One setting of the recipe → one control: label, help, range, the way into the guide, and the way back to the default.

import { button, el, fill, freshId } from "./dom.mjs";
import { chooseFolder } from "./folders.mjs";
import { plain } from "./numbers.mjs";

/**
 * The control of one setting. It follows the draft, whoever changes it. `kind: "cards"` shows a choice as cards with
 * `texts`: {choice: [label, help]}. `mark` names the data attribute that holds the path: one place of the page has `path`.
 */
export function control(app, path, { label, help, cards, mark = "path" } = {}) {
  const { draft } = app;
  const field = draft.field(path);
  const id = freshId("sdft-field");
  const named = label ?? field.label;
  const input = (cards ? cardsOf : INPUTS[field.type])({ app, path, field, id, cards, named });

  const problem = el("p.problem", { id: `${id}-problem`, role: "alert", hidden: true });
  const reset = button("Reset", () => draft.reset(path), {
    kind: "link",
    "aria-label": `Reset ${named}`,
    data: { action: "reset" },
  });
  const entry = field.guide && app.guide.entries.find((one) => one.id === field.guide);
  const explain =
    entry &&
    button("?", () => app.showGuide(entry.id), {
      kind: "explain",
      title: `Guide: ${entry.term}`,
      "aria-label": `Guide: ${entry.term}`,
      data: { action: "guide" },
    });
  const range = rangeOf(field);
  const grouped = Boolean(cards) || field.type === "list" || field.type === "map";
  const name = grouped
    ? el("span.label", { id: `${id}-label` }, named)
    : el("label.label", { htmlFor: id }, named);
  const head = el("div.field-head", {}, name, range && el("span.range", {}, range), explain, el("span.spring"), reset);
  // A field that begins empty has nothing to go back to: emptying it is enough.
  const empty = draft.default(path) === "";
  const node = el(
    empty ? "div.field.plain" : "div.field",
    { data: { [mark]: path } },
    head,
    input.node,
    (help ?? field.help) && el("p.help", { id: `${id}-help` }, help ?? field.help),
    problem,
  );

  const follow = () => {
    input.show(draft.get(path));
    const changed = draft.changed(path);
    node.classList.toggle("sdft-changed", changed);
    reset.hidden = !changed || empty;
    reset.title = `Back to ${shown(draft.default(path))}`;
    say();
  };
  const say = () => {
    const sentence = draft.invalid.get(path) ?? app.problems.get(path) ?? "";
    problem.textContent = sentence;
    problem.hidden = !sentence;
    node.classList.toggle("sdft-wrong", Boolean(sentence));
    node.querySelectorAll("input, select, textarea").forEach((one) => one.setAttribute("aria-invalid", String(Boolean(sentence))));
  };
  app.whenDraft(node, (paths) => {
    if (!paths || paths.includes(path)) follow();
  });
  app.whenProblems(node, say);
  follow();
  return node;
}

/** A value as text, for titles and comparisons. */
export function shown(value) {
  if (value === "" || value === null || value === undefined) return "empty";
  if (value === true || value === false) return value ? "on" : "off";
  if (typeof value === "number") return plain(value);
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

function rangeOf(field) {
  const unit = field.unit ? ` ${field.unit}` : "";
  if (field.low === null || field.low === undefined) return field.unit ?? "";
  // A limit that only keeps typing errors out says nothing.
  if (field.high === null || field.high === undefined || field.high >= 100_000) return field.low === 0 ? (field.unit ?? "") : `from ${plain(field.low)}${unit}`;
  return `${plain(field.low)}–${plain(field.high)}${unit}`;
}

/** The kinds of control. Each gives its node and `show(value)`, which leaves alone what the user is typing in. */
const INPUTS = {
  text({ app, path, field, id, named }) {
    const input = el("input.input", { id, type: "text", spellcheck: "false", autocomplete: "off", "aria-describedby": described(id) });
    input.addEventListener("input", () => app.draft.set(path, input.value));
    const show = (value) => {
      if (input.value !== String(value)) input.value = String(value);
    };
    if (!field.is_folder) return { node: input, show };
    const browse = button(
      "Browse…",
      async () => {
        const chosen = await chooseFolder(app, input.value, named);
        if (chosen !== null) app.draft.set(path, chosen);
      },
      { "aria-label": `Browse for ${named}`, data: { action: "browse" } },
    );
    return { node: el("div.row.together", {}, input, browse), show };
  },

  int: (parts) => number(parts, (text) => (/^[+-]?\d+$/.test(text) ? wholeNumber(text) : null)),

  float: (parts) => number(parts, (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null)),

  bool({ app, path, id }) {
    const input = el("input.switch", { id, type: "checkbox", role: "switch", "aria-describedby": described(id) });
    input.addEventListener("change", () => app.draft.set(path, input.checked));
    return {
      node: el("div.switch-box", {}, input),
      show: (value) => {
        input.checked = value === true;
      },
    };
  },

  choice({ app, path, field, id }) {
    const select = el(
      "select.input",
      { id, "aria-describedby": described(id) },
      field.choices.map((choice) => el("option", { value: choice }, inWords(choice))),
    );
    select.addEventListener("change", () => app.draft.set(path, select.value));
    return {
      node: select,
      show: (value) => {
        select.value = value;
      },
    };
  },

  list({ app, path, id }) {
    const rows = el("div.rows");
    const node = el("div", { role: "group", "aria-labelledby": `${id}-label`, "aria-describedby": described(id) }, rows);
    let lines = [];
    const send = () => app.draft.set(path, [...lines]);
    const draw = () =>
      fill(
        rows,
        lines.map((line, number) => {
          const input = el("input.input", { type: "text", value: line, placeholder: "(empty prompt)", "aria-label": `Line ${number + 1}` });
          input.addEventListener("input", () => {
            lines[number] = input.value;
            send();
          });
          return el("div.row.together", {}, input, remove(`Remove line ${number + 1}`, () => {
            lines.splice(number, 1);
            send();
          }));
        }),
      );
    node.append(
      button("Add a line", () => {
        lines.push("");
        send();
        rows.lastElementChild?.querySelector("input").focus();
      }, { kind: "small", data: { action: "add" } }),
    );
    return {
      node,
      show: (value) => {
        const typed = [...rows.querySelectorAll("input")].map((input) => input.value);
        lines = [...value];
        if (JSON.stringify(typed) !== JSON.stringify(lines)) draw();
      },
    };
  },

  map({ app, path, field, id }) {
    const rows = el("div.rows");
    const node = el("div", { role: "group", "aria-labelledby": `${id}-label`, "aria-describedby": described(id) }, rows);
    const whole = typeof Object.values(field.default)[0] === "number" || field.allowed.includes("whole numbers");
    let pairs = [];
    const send = () => {
      const bad = whole && pairs.find(([key, value]) => key && !/^\d+$/.test(value.trim()));
      if (bad) app.draft.mark(path, `"${bad[0]}" needs a whole number.`);
      else app.draft.set(path, Object.fromEntries(pairs.filter(([key]) => key).map(([key, value]) => [key, whole ? Number(value) : value])));
    };
    const draw = () =>
      fill(
        rows,
        pairs.map((pair, number) => {
          const input = (place, label) => {
            const one = el("input.input", { type: "text", value: pair[place], placeholder: label, "aria-label": `${label} ${number + 1}` });
            one.addEventListener("input", () => {
              pair[place] = one.value;
              send();
            });
            return one;
          };
          return el("div.row.together", {}, input(0, "Name"), input(1, "Value"), remove(`Remove ${pair[0] || "line"}`, () => {
            pairs.splice(number, 1);
            send();
            draw();
          }));
        }),
      );
    node.append(
      button("Add a value", () => {
        pairs.push(["", ""]);
        draw();
        rows.lastElementChild.querySelector("input").focus();
      }, { kind: "small", data: { action: "add" } }),
    );
    return {
      node,
      show: (value) => {
        if (app.draft.invalid.has(path)) return;
        const mine = JSON.stringify(Object.fromEntries(pairs.filter(([key]) => key).map(([key, one]) => [key, String(one)])));
        const theirs = Object.entries(value).map(([key, one]) => [key, String(one)]);
        if (mine === JSON.stringify(Object.fromEntries(theirs))) return;
        pairs = theirs;
        draw();
      },
    };
  },
};

function cardsOf({ app, path, id, cards, named }) {
  const group = freshId("sdft-group");
  const inputs = cards.map(({ value, label, help, more, disabled }) => {
    const input = el("input", { type: "radio", name: group, value, disabled: Boolean(disabled) });
    input.addEventListener("change", () => app.draft.set(path, value));
    return {
      input,
      value,
      node: el("label.choice", {}, input, el("span.choice-label", {}, label), help && el("span.choice-help", {}, help), more),
    };
  });
  return {
    node: el("div.choices", { role: "radiogroup", "aria-label": named }, inputs.map((one) => one.node)),
    show: (value) => {
      for (const one of inputs) one.input.checked = one.value === value;
    },
  };
}

function number({ app, path, field, id }, read) {
  const input = el("input.input.number", {
    id,
    type: "text",
    inputmode: field.type === "int" ? "numeric" : "decimal",
    autocomplete: "off",
    "aria-describedby": described(id),
  });
  input.addEventListener("input", () => {
    const value = read(input.value.trim().replace(",", "."));
    const low = field.low ?? -Infinity;
    const high = field.high ?? Infinity;
    if (value === null || Number(value) < low || Number(value) > high) app.draft.mark(path, `Write ${field.allowed}.`);
    else app.draft.set(path, value);
  });
  return {
    node: input,
    show: (value) => {
      if (app.draft.invalid.has(path)) return;
      if (document.activeElement === input && read(input.value.trim().replace(",", ".")) === value) return;
      input.value = plain(value);
    },
  };
}

/** Whole numbers beyond what JavaScript counts exactly stay text: the server reads them exactly. */
function wholeNumber(text) {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : String(BigInt(text));
}

function remove(label, onclick) {
  return button("×", onclick, { kind: "icon", "aria-label": label, title: label, data: { action: "remove" } });
}

function described(id) {
  return `${id}-help ${id}-problem`;
}

function inWords(choice) {
  return choice.replaceAll("_", " ");
}
