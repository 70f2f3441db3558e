// The Train panel: five choices, and everything else folded below them.

import { settingField } from "../shared/field.mjs";
import { dataset } from "./pictures.mjs";
import { button, el } from "../shared/dom.mjs";
import { settings } from "./settings.mjs";
import { summary } from "./summary.mjs";

const FIRST = "dataset.concepts.0.";
/** What the five choices hold; the folded sections hold the rest. */
export const CHOICES = [
  `${FIRST}kind`,
  `${FIRST}instance`,
  `${FIRST}regularization`,
  `${FIRST}trigger`,
  `${FIRST}class_word`,
  "save.name",
  "method.name",
];

export function trainPanel(app) {
  const suggestion = suggestPrompts(app);
  const all = settings(app, CHOICES);
  const node = el(
    "div.train",
    {},
    el(
      "div.train-main",
      {},
      card(1, "What shall the model learn?", what(app)),
      card(2, "Pictures", dataset(app), exampleButton(app)),
      card(
        3,
        "Name and words",
        el(
          "div.fields",
          {},
          settingField(app, "save.name"),
          settingField(app, `${FIRST}trigger`, { help: "A rare word that will call the concept in prompts, such as sks." }),
          settingField(app, `${FIRST}class_word`, { help: "What the model already calls such a thing, such as dog." }),
        ),
      ),
      card(4, "Method", methods(app)),
      card(5, "How thorough?", thorough(app)),
    ),
    summary(app),
    all.node,
  );
  app.whenDraft(node, suggestion);
  return {
    node,
    /** Brings a setting's control into view. */
    show(path) {
      all.unfilter();
      const field = node.querySelector(`[data-path="${CSS.escape(path)}"]`);
      if (field) app.point(field, field.querySelector("input, select, textarea") ?? field);
    },
  };
}

function card(number, title, content, action = null) {
  return el(
    "section.card",
    { "aria-label": title },
    el("div.row", {}, el("h2.title", {}, el("span.number", { "aria-hidden": "true" }, String(number)), el("span", {}, title)), el("span.spring"), action),
    content,
  );
}

function what(app) {
  return settingField(app, `${FIRST}kind`, {
    help: "",
    cards: [
      { value: "subject", label: "A subject", help: "One person, animal or thing. 5–20 pictures." },
      { value: "style", label: "A style", help: "A way of drawing, whatever is drawn. 50–200 pictures." },
    ],
  });
}

function methods(app) {
  const cards = app.schema.methods.map((method) => {
    const fit = el("span.fit");
    app.whenForecast(fit, (memory) => {
      fit.textContent = memory?.fits === true ? "Fits on this device" : memory?.fits === false ? "Too large for this device" : "";
      if (app.draft.get("method.name") !== method.name) fit.textContent = "";
      fit.className = `sdft-fit ${memory?.fits === false ? "sdft-bad" : "sdft-good"}`;
    });
    const rating = (label, value) => value && el("span.rating", {}, el("span.quiet", {}, label), el("span", {}, value));
    return {
      value: method.name,
      label: method.label,
      help: method.help,
      more: el(
        "span.ratings",
        {},
        rating("Difficulty", method.difficulty),
        rating("Subjects", method.subject),
        rating("Styles", method.style),
        rating("Memory", method.memory),
        fit,
      ),
    };
  });
  return settingField(app, "method.name", { help: "", cards });
}

/** Cards that each set several settings at once; the one whose settings stand is marked. */
function thorough(app) {
  const cards = app.schema.thorough.map((choice) => {
    const input = el("input", { type: "radio", name: "sdft-thorough", value: choice.name });
    input.addEventListener("change", () => app.draft.setAll(choice.settings));
    const node = el("label.choice", {}, input, el("span.choice-label", {}, choice.label), el("span.choice-help", {}, choice.help));
    return { choice, input, node };
  });
  const own = el("p.help", {}, "You have set the length yourself below.");
  const follow = () => {
    for (const { choice, input } of cards) {
      input.checked = Object.entries(choice.settings).every(([path, value]) => JSON.stringify(app.draft.get(path)) === JSON.stringify(value));
    }
    own.hidden = cards.some(({ input }) => input.checked);
  };
  const node = el("div", { data: { group: "thorough" } }, el("div.choices", { role: "radiogroup", "aria-label": "How thorough?" }, cards.map((one) => one.node)), own);
  app.whenDraft(node, follow);
  follow();
  return node;
}

/** Keeps prompts for control pictures that follow the trigger and class word, until the user writes his own. */
function suggestPrompts(app) {
  const { draft } = app;
  const suggested = () => {
    const trigger = String(draft.get(`${FIRST}trigger`)).trim();
    const thing = String(draft.get(`${FIRST}class_word`)).trim();
    if (!trigger) return { concept: [], bleeding: [] };
    if (draft.get(`${FIRST}kind`) === "style") {
      return { concept: [`a house in ${trigger} style`, `a cat in ${trigger} style`], bleeding: ["a house", "a cat"] };
    }
    const named = [trigger, thing].filter(Boolean).join(" ");
    return { concept: [`a ${named}`, `a ${named} on a beach`], bleeding: thing ? [`a ${thing}`, `a ${thing} on a beach`, ""] : [""] };
  };
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  let before = suggested();
  return (paths) => {
    const now = suggested();
    const values = {};
    for (const [name, path] of [["concept", "watch.concept_prompts"], ["bleeding", "watch.bleeding_prompts"]]) {
      const current = draft.get(path);
      if (!same(now[name], before[name]) && (current.length === 0 || same(current, before[name]))) values[path] = now[name];
    }
    before = now;
    if (paths && Object.keys(values).length) draft.setAll(values);
  };
}

/** The button that takes over the example's folders and words. */
function exampleButton(app) {
  const { example } = app.schema;
  if (!example) return null;
  return button("Use the example", () => {
    app.draft.clear();
    app.draft.setAll(example.settings);
  }, { kind: "small", title: example.help, data: { action: "example" } });
}
