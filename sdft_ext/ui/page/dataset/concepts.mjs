// The concepts of the draft: their names, folders and weights, and their pictures counted against the guide.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, debounced, el, fill } from "../shared/dom.mjs";
import { settingField } from "../shared/field.mjs";
import { linksOf } from "../shared/folders.mjs";
import { count } from "../shared/numbers.mjs";
import { thumbnails } from "../shared/thumbnails.mjs";
import { meter } from "./charts.mjs";
import { instanceRange, regularizationRange } from "./recommended.mjs";

/** @import { App, Dataset } from "../types.d.ts" */
/** @import { DatasetPanel, DatasetSection } from "./types.d.ts" */
/** @typedef {Dataset | { problem: string } | null} Folder what is in a folder, what is wrong with it, or that there is none */

const NAMES = ["name", "kind", "trigger", "class_word"];
const FOLDERS = ["instance", "regularization"];
const WEIGHTS = ["repeats", "regularization_repeats", "loss_weight"];
/** How many pictures are shown. */
const SHOWN = 16;

/** @param {App} app @param {DatasetPanel} panel @returns {DatasetSection} */
export function conceptsSection(app, panel) {
  const { draft } = app;
  const chips = el("div.row.wrap", { role: "group", "aria-label": "Concepts" });
  const fields = el("div.stack");
  const contents = folderContents(app, panel);
  const remove = button("Remove this concept", removeConcept, { kind: "small", data: { action: "dataset-remove-concept" } });
  const add = button("Add a concept", addConcept, { kind: "small", data: { action: "dataset-add-concept" } });
  const node = el(
    "section.card",
    { "aria-label": "Concepts", data: { section: "concepts" } },
    el("div.row.wrap", {}, el("h2.title", {}, "Concepts"), el("span.spring"), remove, add),
    chips,
    fields,
    ...contents.nodes,
  );
  let drawn = "";

  function addConcept() {
    draft.addConcept();
    panel.choose(draft.concepts - 1);
  }

  function removeConcept() {
    const gone = panel.concept;
    draft.removeConcept(gone);
    panel.choose(Math.max(0, Math.min(gone, draft.concepts - 1)));
  }

  function drawChips() {
    fill(chips, Array.from({ length: draft.concepts }, (_, number) => chip(app, panel, number)));
    chips.hidden = draft.concepts < 2;
    remove.hidden = draft.concepts < 2;
  }

  function draw() {
    if (panel.concept >= draft.concepts) panel.concept = draft.concepts - 1;
    drawChips();
    const now = `${draft.concepts} ${panel.concept}`;
    if (now !== drawn) {
      drawn = now;
      /** @param {string[]} names */
      const controls = (names) => names.map((name) => settingField(app, panel.path(name), { mark: "datasetPath" }));
      fill(fields, el("div.fields", {}, controls(NAMES)), el("div.fields.folders", {}, controls(FOLDERS)), el("div.fields", {}, controls(WEIGHTS)));
    }
    contents.refresh();
  }

  const drawLater = debounced(draw, 300);
  app.whenDraft(node, (paths) => {
    if (paths && !paths.some((path) => path.startsWith("dataset.concepts."))) return;
    drawChips();
    drawLater();
  });
  app.whenProblems(node, contents.showProblems);
  panel.listen("concept", draw);
  panel.listen("pictures", () => contents.refresh(true));
  draw();
  return { name: "concepts", node, shown: () => contents.refresh(true) };
}

/** @param {App} app @param {DatasetPanel} panel @param {number} number */
function chip(app, panel, number) {
  const name = app.draft.text(`dataset.concepts.${number}.name`) || `Concept ${number + 1}`;
  const data = { action: "dataset-concept", concept: String(number) };
  return button(name, () => panel.choose(number), { kind: "chip", "aria-pressed": String(number === panel.concept), data });
}

/** Counts what is in the chosen concept's folders, and shows the first pictures. @param {App} app @param {DatasetPanel} panel */
function folderContents(app, panel) {
  const { draft } = app;
  const counts = el("div.guide-counts");
  const seen = el("div.stack.tight");
  const problems = el("div.stack.tight", { hidden: true });
  let request = new AbortController();
  /** What was asked for last. */
  let asked = "";
  /** @type {string[]} */
  let wrong = [];

  async function refresh(again = false) {
    const folders = FOLDERS.map((name) => draft.text(panel.path(name)));
    const facts = JSON.stringify([panel.concept, folders, draft.get(panel.path("kind"))]);
    if (facts === asked && !again) return;
    asked = facts;
    request.abort();
    request = new AbortController();
    const { signal } = request;
    try {
      const [instance, others] = await Promise.all([readFolder(app, folders[0], SHOWN, signal), readFolder(app, folders[1], 0, signal)]);
      show(instance, others);
    } catch (error) {
      if (!aborted(error)) asked = "";
    }
  }

  /** Shows what is wrong with the folders, except what their own controls say. */
  function showProblems() {
    const said = FOLDERS.map((name) => app.problems.get(panel.path(name)));
    fill(problems, wrong.filter((sentence) => !said.includes(sentence)).map((sentence) => el("p.problem", { role: "alert" }, sentence)));
    problems.hidden = !problems.children.length;
  }

  /** @param {Folder} instance @param {Folder} others */
  function show(instance, others) {
    wrong = [instance, others].flatMap((one) => (one && "problem" in one ? [one.problem] : []));
    showProblems();
    const own = instance && "pictures" in instance ? instance : null;
    const number = own?.pictures ?? 0;
    const drawn = others && "pictures" in others ? others.pictures : 0;
    const kind = draft.text(panel.path("kind"));
    const { recommended } = app.schema;
    fill(
      counts,
      meter(`Instance pictures of a ${kind}`, number, instanceRange(recommended, kind)),
      meter("Regularization pictures", drawn, regularizationRange(recommended, number)),
    );
    fill(
      seen,
      problems,
      own && own.thumbnails.length > 0 && thumbnails(app, own, "seen"),
      own && number > 0 && el("p.help", {}, `${count(own.captions, "caption", "captions")} for ${count(number, "picture", "pictures")}.`),
    );
  }

  return { nodes: [counts, seen], refresh, showProblems };
}

/** Reads what is in a folder. @param {App} app @param {string} folder @param {number} shown @param {AbortSignal} signal @returns {Promise<Folder>} */
async function readFolder(app, folder, shown, signal) {
  if (!folder) return null;
  try {
    /** @type {Dataset} */
    const found = await app.api.get("datasets", { folder, count: shown, ...linksOf(app) }, signal);
    return found;
  } catch (error) {
    if (aborted(error)) throw error;
    return { problem: sentenceOf(error) };
  }
}
