// What the recipe comes to: steps, saves, time, memory, what keeps it from starting, and the button that starts it.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { same } from "../shared/draft.mjs";
import { button, debounced, el, fill, live } from "../shared/dom.mjs";
import { megabytes } from "../shared/numbers.mjs";
import { namesOf, settingNamed, withLabels } from "../shared/setting_names.mjs";
import { factsOf, memoryUse } from "./calculation.mjs";
import { usedBy } from "./settings_filter.mjs";
import { isTrigger, triggerRemedies } from "./trigger.mjs";

/** @import { App, Calculation, Memory } from "../types.d.ts" */

const INSTANCE = "dataset.concepts.0.instance";
/** Endings of model files that can contain program code. */
const PICKLE = /\.(ckpt|pt|pth|bin)$/i;

/** @param {App} app */
export function summary(app) {
  const { draft } = app;
  const facts = el("dl.facts");
  const memory = el("div.forecast");
  const advice = el("div.stack.tight");
  const blocked = el("div.stack.tight", { hidden: true, data: { role: "blocked" } });
  const train = button("Train", start, { kind: "primary large", data: { action: "train" } });
  const node = el("section.card.summary", { "aria-label": "This run" }, el("h2.title", {}, "This run"), facts, memory, advice, live(blocked), train);
  let request = new AbortController();
  /** Sentences that keep the recipe from starting; null until the server has checked it for the first time. @type {string[] | null} */
  let problems = null;
  let shownInvalid = "[]";

  async function calculate() {
    request.abort();
    request = new AbortController();
    node.setAttribute("aria-busy", "true");
    try {
      /** @type {Calculation} */
      const found = await app.api.post("calculate", { recipe: draft.nested() }, request.signal);
      problems = found.problems;
      show(found);
    } catch (error) {
      if (aborted(error)) return;
      problems = [sentenceOf(error)];
      fill(facts);
      fill(memory);
      showAdvice(app, advice, { problems });
    }
    node.removeAttribute("aria-busy");
    updateButton();
  }

  /** @param {Calculation} found */
  function show(found) {
    fill(facts, factsOf(found).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
    if (found.measured && found.seconds != null) facts.title = found.measured;
    app.setForecast(found.methods ?? {});
    fill(memory, memoryMeter(app, found.memory), found.disk ? el(found.disk.includes("doesn't fit") ? "p.problem" : "p.help", { data: { role: "disk" } }, app.api.inWords(found.disk)) : null);
    showAdvice(app, advice, found);
  }

  function updateButton() {
    const invalid = invalidSettings(app);
    const wrong = invalid.length > 0;
    train.disabled = wrong || problems === null || problems.length > 0 || Boolean(app.session.missing);
    showInvalid(invalid);
    train.title = wrong ? invalid[0].sentence : app.api.inWords(problems?.[0] ?? "");
    blocked.hidden = !wrong;
  }

  /** @param {ReturnType<typeof invalidSettings>} invalid */
  function showInvalid(invalid) {
    const text = JSON.stringify(invalid);
    if (text === shownInvalid) return; // a link keeps the keyboard while others are typed into
    shownInvalid = text;
    const links = invalid.map(({ path, sentence }) => el("p.problem", {}, settingLink(app, path, sentence)));
    fill(blocked, links.length > 0 && el("p.advice", {}, "Correct these settings to train:"), links);
  }

  async function start() {
    await app.attempt(async () => {
      const recipe = draft.nested();
      /** @type {{ id: string }} */
      const { id } = await app.api.post("runs", { recipe });
      await app.refresh();
      // A slow server answers when its user is elsewhere, or at work on the next recipe.
      const stayed = node.offsetParent !== null && same(draft.nested(), recipe) && !draft.invalid.size;
      if (stayed) app.showRun(id);
      else app.say(`${id} was started; the Monitor shows it.`);
    }, train);
    updateButton();
  }

  const calculateLater = debounced(calculate, 350);
  app.whenDraft(node, () => {
    updateButton();
    calculateLater();
  });
  let current = app.runs.current;
  app.whenRuns(node, () => {
    // Free memory, and how fast steps are, depend on what else runs.
    if (app.runs.current !== current) calculateLater();
    current = app.runs.current;
  });
  fill(advice, el("p.help", {}, "Calculating …"));
  calculate();
  updateButton();
  return node;
}

/** Lists the settings whose controls hold what can't be read, those that the page hides left out. @param {App} app */
function invalidSettings({ draft }) {
  const method = draft.text("method.name");
  return [...draft.invalid].flatMap(([path, problem]) => {
    const field = draft.field(path);
    return field && usedBy(field, method) ? [{ path, sentence: `${field.label}: ${problem}` }] : [];
  });
}

/** Shows the memory forecast. @param {App} app @param {Memory | null | undefined} found */
function memoryMeter(app, found) {
  if (!found) return [];
  const explanation = found.text && el("p.help", {}, app.api.inWords(found.text));
  if (found.needed_mb == null) return [explanation];
  const { share, level, text } = memoryUse(found);
  const parts = Object.entries(found.parts ?? {}).map(([name, mb]) => `${name}: ${megabytes(mb)}`);
  const filled = el("div", { class: `sdft-meter-fill sdft-${level}`, style: `width: ${Math.round(share * 100)}%` });
  return [
    el("div.row", {}, el("span.quiet", {}, "Memory"), el("span.spring"), el("span", {}, text)),
    el("div.meter", { title: parts.join("\n"), role: "img", "aria-label": `Memory: ${text}` }, filled),
    explanation,
  ];
}

/**
 * Lists problems and warnings. A problem is shown with the control that it names, too, and hides warnings about that setting.
 * @param {App} app
 * @param {HTMLElement} node
 * @param {Pick<Calculation, "problems" | "warnings" | "suggested_triggers" | "proposed_prompts">} found
 */
function showAdvice(app, node, { problems, warnings = [], suggested_triggers: triggers = {}, proposed_prompts: prompts }) {
  const { draft } = app;
  const names = namesOf(app);
  /** @type {Map<string, string>} */
  const byPath = new Map();
  /** @param {string} sentence @param {string | undefined} path */
  const linked = (sentence, path) => (path ? settingLink(app, path, withLabels(sentence, path, names)) : app.api.inWords(sentence));
  /** @param {string} path @param {string} sentence */
  const remedies = (path, sentence) => isTrigger(path) && triggerRemedies(app, path, { word: triggers[path], captions: sentence.includes("caption") });
  const listed = problems.map((sentence) => {
    const path = settingNamed(sentence, names);
    // Nothing is wrong yet where nothing has been chosen.
    if (path === INSTANCE && !draft.text(INSTANCE)) return el("p.help", {}, settingLink(app, INSTANCE, "Choose the folder with your pictures to begin."));
    if (path) byPath.set(path, withLabels(sentence, path, names));
    return [el("p.problem", {}, linked(sentence, path)), path && remedies(path, sentence)];
  });
  const advised = warnings.map((sentence) => {
    const path = settingNamed(sentence, names);
    return path && byPath.has(path) ? [] : [el("p.advice", {}, linked(sentence, path)), path && !app.draft.text(path) && remedies(path, sentence)];
  });
  const convert = () => button("Convert it in Tools", () => app.showTool("convert"), { kind: "small", data: { action: "convert" } });
  fill(node, listed.flat(), advised.flat(), PICKLE.test(app.session.host.model?.path ?? "") && el("div", {}, convert()));
  app.setProblems(byPath, triggers, prompts);
}

/** Makes a sentence that leads to its setting. @param {App} app @param {string} path @param {string} sentence */
function settingLink(app, path, sentence) {
  return el("button.sentence", { type: "button", onclick: () => app.showSetting(path), title: "Show the setting" }, sentence);
}
