// What the recipe comes to: steps, saves, time, memory, what stands in the way, and the button that starts it.

import { button, debounced, el, fill } from "../shared/dom.mjs";
import { count, duration, megabytes } from "../shared/numbers.mjs";

const INSTANCE = "dataset.concepts.0.instance";
const PATHS = /[a-z_]+(?:\.[a-z_0-9]+|\[\d+\])+/g;

export function summary(app) {
  const { draft } = app;
  const facts = el("dl.facts");
  const memory = el("div.forecast");
  const advice = el("div.stack.tight");
  const train = button("Train", start, { kind: "primary large", data: { action: "train" } });
  const node = el(
    "aside.card.summary",
    { "aria-label": "This run" },
    el("h2.title", {}, "This run"),
    facts,
    memory,
    advice,
    train,
  );
  let asked = null;
  /** Sentences that keep the recipe from starting; null until the server has looked at it for the first time. */
  let problems = null;

  async function calculate() {
    asked?.abort();
    asked = new AbortController();
    node.setAttribute("aria-busy", "true");
    try {
      const found = await app.api.post("calculate", { recipe: draft.nested() }, asked.signal);
      problems = found.problems;
      show(found);
    } catch (error) {
      if (error.name === "AbortError") return;
      problems = [error.message];
      fill(facts);
      fill(memory);
      told([], [error.message]);
    }
    node.removeAttribute("aria-busy");
    ready();
  }

  function show(found) {
    const saves = found.saves ?? [];
    const rows = !found.pictures ? [] : [
      ["Pictures", found.pictures != null && [found.pictures, found.regularization ? `+ ${found.regularization} regularization` : ""].join(" ")],
      ["Steps", found.steps != null && found.steps.toLocaleString("en")],
      ["Epochs", found.epochs != null && `${Number(found.epochs.toFixed(1))} of ${count(found.steps_per_epoch, "step", "steps")}`],
      ["Saves", saves.length && `${found.saves_count ?? saves.length}, at step ${saves.length > 4 ? `${saves.slice(0, 3).join(", ")} … ${saves.at(-1)}` : saves.join(", ")}`],
      ["Time", found.seconds != null ? `about ${duration(found.seconds)}` : found.measured && "measured once it runs"],
    ];
    fill(facts, rows.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
    if (found.measured && found.seconds != null) facts.title = found.measured;
    forecast(found.memory);
    told(found.warnings ?? [], found.problems);
  }

  function forecast(found) {
    app.tellForecast(found);
    if (!found || found.needed_mb == null) return fill(memory, found?.text && el("p.help", {}, found.text));
    const share = found.free_mb ? Math.min(found.needed_mb / found.free_mb, 1) : 0;
    const kind = found.fits === false ? "bad" : share > 0.85 ? "warn" : "good";
    const parts = Object.entries(found.parts ?? {}).map(([name, mb]) => `${name}: ${megabytes(mb)}`);
    const words = `${found.estimate ? "estimate: " : ""}${megabytes(found.needed_mb)} of ${megabytes(found.free_mb)} free`;
    fill(
      memory,
      el("div.row", {}, el("span.quiet", {}, "Memory"), el("span.spring"), el("span", {}, words)),
      el("div.meter", { title: parts.join("\n"), role: "img", "aria-label": `Memory: ${words}` }, el("div", { class: `sdft-meter-fill sdft-${kind}`, style: `width: ${Math.round(share * 100)}%` })),
      found.text && el("p.help", {}, found.text),
    );
  }

  /** Problems stand beside the control that they name, and all of them here, with the warnings. */
  function told(warnings, found) {
    const beside = new Map();
    const here = [];
    for (const sentence of found) {
      const path = named(sentence);
      // Nothing is wrong yet where nothing has been chosen.
      if (path === INSTANCE && !String(draft.get(INSTANCE)).trim()) {
        here.push(el("p.help", {}, link(app, INSTANCE, "Choose the folder with your pictures to begin.")));
        continue;
      }
      if (path) beside.set(path, inLabels(sentence, path));
      here.push(el("p.problem", {}, path ? link(app, path, inLabels(sentence, path)) : sentence));
    }
    const advised = warnings.map((sentence) => {
      const path = named(sentence);
      return el("p.advice", {}, path ? link(app, path, inLabels(sentence, path)) : sentence);
    });
    fill(advice, here, advised);
    app.setProblems(beside);
  }

  /** The setting that a sentence names by its path. */
  function named(sentence) {
    return (sentence.match(PATHS) ?? []).map(settingAt).find(Boolean);
  }

  function settingAt(text) {
    const path = text.replace(/\[(\d+)\]/g, ".$1").replace(/^concepts\./, "dataset.concepts.");
    // A sentence may name one line of a list.
    return [path, path.replace(/\.\w+$/, "")].find((one) => draft.field(one));
  }

  /** The sentence with the words that the page shows instead of the recipe's own names. */
  function inLabels(sentence, path) {
    const label = draft.field(path).label;
    const words = sentence.replace(PATHS, (text) => {
      const found_ = settingAt(text);
      return found_ ? draft.field(found_).label : text;
    });
    return words.startsWith(`${label}: `) ? words.slice(label.length + 2) : words;
  }

  function ready() {
    const wrong = draft.invalid.size;
    train.disabled = wrong > 0 || problems === null || problems.length > 0 || Boolean(app.session.missing);
    train.title = wrong ? "Mend the marked settings first." : problems?.[0] ?? "";
  }

  async function start() {
    await app.attempt(async () => {
      const { id } = await app.api.post("runs", { recipe: draft.nested() });
      await app.refresh();
      app.showRun(id);
    }, train);
    ready();
  }

  const later = debounced(calculate, 350);
  app.whenDraft(node, () => {
    ready();
    later();
  });
  let current = app.runs.current;
  app.whenRuns(node, () => {
    // What is free, and how fast steps are, changes with what else runs.
    if (app.runs.current !== current) later();
    current = app.runs.current;
  });
  fill(advice, el("p.help", {}, "Calculating …"));
  calculate();
  ready();
  return node;
}

function link(app, path, sentence) {
  return el("button.sentence", { type: "button", onclick: () => app.showSetting(path), title: "Show the setting" }, sentence);
}
