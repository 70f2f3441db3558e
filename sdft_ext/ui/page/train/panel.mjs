// The Train panel: five choices, and everything else folded below them.

import { button, el } from "../shared/dom.mjs";
import { settingField } from "../shared/field.mjs";
import { methodCards } from "./methods.mjs";
import { datasetFolders } from "./pictures.mjs";
import { settings } from "./settings.mjs";
import { summary } from "./summary.mjs";
import { triggerSuggestion } from "./trigger.mjs";

/** @import { App, Child } from "../types.d.ts" */

const FIRST = "dataset.concepts.0.";
const TRIGGER = `${FIRST}trigger`;
/** The settings that the five choices hold; the folded sections hold the rest. */
export const CHOICES = [
  `${FIRST}kind`,
  `${FIRST}instance`,
  `${FIRST}regularization`,
  TRIGGER,
  `${FIRST}class_word`,
  "save.name",
  "method.name",
];

/** @param {App} app */
export function trainPanel(app) {
  const all = settings(app, CHOICES);
  const node = el(
    "div.train",
    {},
    el(
      "div.train-main",
      {},
      card(1, "What should the model learn?", kindCards(app)),
      card(2, "Pictures", datasetFolders(app), exampleButton(app)),
      card(3, "Name and trigger", nameFields(app)),
      card(4, "Method", methodCards(app)),
      card(5, "How thorough?", lengthCards(app)),
    ),
    summary(app),
    all.node,
  );
  return {
    node,
    /** Brings a setting's control into view. @param {string} path */
    show(path) {
      all.unfilter();
      const field = node.querySelector(`[data-path="${CSS.escape(path)}"]`);
      if (!(field instanceof HTMLElement)) return;
      const input = field.querySelector("input, select, textarea");
      app.point(field, input instanceof HTMLElement ? input : field);
    },
  };
}

/** @param {number} number @param {string} title @param {HTMLElement} content @param {Child} action */
function card(number, title, content, action = null) {
  const heading = el("h2.title", {}, el("span.number", { "aria-hidden": "true" }, String(number)), el("span", {}, title));
  return el("section.card", { "aria-label": title }, el("div.row", {}, heading, el("span.spring"), action), content);
}

/** @param {App} app */
function kindCards(app) {
  return settingField(app, `${FIRST}kind`, {
    help: "",
    cards: [
      { value: "subject", label: "A subject", help: "One person, animal or thing. 5–20 pictures." },
      { value: "style", label: "A style", help: "A way of drawing, whatever the subject. 50–200 pictures." },
    ],
  });
}

/** @param {App} app */
function nameFields(app) {
  return el(
    "div.fields",
    {},
    settingField(app, "save.name"),
    settingField(app, TRIGGER, { help: "A rare word that calls up the concept in prompts, such as sks.", tail: triggerSuggestion(app, TRIGGER) }),
    settingField(app, `${FIRST}class_word`, { help: "What the model already calls such things, for example dog." }),
  );
}

/** Shows cards that each set several settings at once; the one whose settings are in the draft is marked. @param {App} app */
function lengthCards(app) {
  const cards = app.schema.thorough.map((choice) => {
    const input = el("input", { type: "radio", name: "sdft-thorough", value: choice.name });
    input.addEventListener("change", () => app.draft.setAll(choice.settings));
    const node = el("label.choice", {}, input, el("span.choice-label", {}, choice.label), el("span.choice-help", {}, choice.help));
    return { choice, input, node };
  });
  const own = el("p.help", {}, "You have set the length yourself, in the settings below.");
  const follow = () => {
    for (const { choice, input } of cards) {
      input.checked = Object.entries(choice.settings).every(([path, value]) => JSON.stringify(app.draft.get(path)) === JSON.stringify(value));
    }
    own.hidden = cards.some(({ input }) => input.checked);
  };
  const choices = el("div.choices", { role: "radiogroup", "aria-label": "How thorough?" }, cards.map((one) => one.node));
  const node = el("div", { data: { group: "thorough" } }, choices, own);
  app.whenDraft(node, follow);
  follow();
  return node;
}

/** Makes the button that fills in the folders, name and trigger of the example of the chosen kind. @param {App} app */
function exampleButton(app) {
  const chosen = () => app.schema.examples[String(app.draft.get(`${FIRST}kind`))];
  const use = () => {
    const example = chosen();
    app.draft.clear();
    app.draft.setAll(example.settings);
  };
  const node = button("Use the example", use, { kind: "small", data: { action: "example" } });
  const follow = () => {
    const example = chosen();
    node.hidden = !example;
    node.title = example?.help ?? "";
  };
  app.whenDraft(node, follow);
  follow();
  return node;
}
