// The concepts of the draft: their words, folders and weights, and their pictures counted against the guide.

import { settingField } from "../shared/field.mjs";
import { button, debounced, el, fill } from "../shared/dom.mjs";
import { meter } from "./charts.mjs";
import { count } from "../shared/numbers.mjs";

const WORDS = ["name", "kind", "trigger", "class_word"];
const FOLDERS = ["instance", "regularization"];
const WEIGHTS = ["repeats", "regularization_repeats", "loss_weight"];
/** How many instance pictures the guide recommends, and how many regularization pictures for each. */
const GUIDE = { subject: [5, 20], style: [50, 200] };
const TIMES = [20, 100];
const SHOWN = 16;

export function conceptsSection(app, panel) {
  const { draft } = app;
  const chips = el("div.row.wrap", { role: "group", "aria-label": "Concepts" });
  const fields = el("div.stack");
  const counts = el("div.guide-counts");
  const seen = el("div.stack.tight");
  const remove = button("Remove this concept", () => removeConcept(), { kind: "small", data: { action: "dataset-remove-concept" } });
  const node = el(
    "section.card",
    { "aria-label": "Concepts", data: { section: "concepts" } },
    el("div.row.wrap", {}, el("h2.title", {}, "Concepts"), el("span.spring"), remove, button("Add a concept", () => addConcept(), { kind: "small", data: { action: "dataset-add-concept" } })),
    chips,
    fields,
    counts,
    seen,
  );
  const problems = el("div.stack.tight", { hidden: true });
  let wrong = [];
  let drawn = "";
  let asked = null;
  let looked = "";

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
    fill(
      chips,
      Array.from({ length: draft.concepts }, (_, number) => {
        const name = String(draft.get(`dataset.concepts.${number}.name`)) || `Concept ${number + 1}`;
        return button(name, () => panel.choose(number), { kind: "chip", "aria-pressed": String(number === panel.concept), data: { action: "dataset-concept", concept: String(number) } });
      }),
    );
    chips.hidden = draft.concepts < 2;
    remove.hidden = draft.concepts < 2;
  }

  function draw() {
    if (panel.concept >= draft.concepts) panel.concept = draft.concepts - 1;
    drawChips();
    const now = `${draft.concepts} ${panel.concept}`;
    if (now !== drawn) {
      drawn = now;
      const controls = (names) => names.map((name) => settingField(app, panel.path(name), { mark: "datasetPath" }));
      fill(fields, el("div.fields", {}, controls(WORDS)), el("div.fields.folders", {}, controls(FOLDERS)), el("div.fields", {}, controls(WEIGHTS)));
    }
    look();
  }

  /** Counts what lies in the folders, and shows the first pictures. */
  async function look(again = false) {
    const folders = FOLDERS.map((name) => String(draft.get(panel.path(name))).trim());
    const facts = JSON.stringify([panel.concept, folders, draft.get(panel.path("kind"))]);
    if (facts === looked && !again) return;
    looked = facts;
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    try {
      const [own, others] = await Promise.all(folders.map((folder, place) => told(folder, place ? 0 : SHOWN, signal)));
      show(own, others);
    } catch (error) {
      if (error.name !== "AbortError") looked = "";
    }
  }

  async function told(folder, shown, signal) {
    if (!folder) return null;
    try {
      return await app.api.get("datasets", { folder, count: shown }, signal);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      return { problem: error.message };
    }
  }

  /** What is wrong with the folders, but for what stands beside their controls already. */
  function say() {
    const beside = FOLDERS.map((name) => app.problems.get(panel.path(name)));
    fill(problems, wrong.filter((sentence) => !beside.includes(sentence)).map((sentence) => el("p.problem", { role: "alert" }, sentence)));
    problems.hidden = !problems.children.length;
  }

  function show(own, others) {
    wrong = [own, others].map((one) => one?.problem).filter(Boolean);
    say();
    const kind = draft.get(panel.path("kind"));
    const [low, high] = GUIDE[kind] ?? GUIDE.subject;
    const number = own?.pictures ?? 0;
    fill(
      counts,
      meter(`Instance pictures of a ${kind}`, number, low, high, `${low}–${high} by the guide`),
      meter("Regularization pictures", others?.pictures ?? 0, TIMES[0] * number, TIMES[1] * number, number ? `${(TIMES[0] * number).toLocaleString("en")}–${(TIMES[1] * number).toLocaleString("en")} by the guide: ${TIMES[0]}–${TIMES[1]} for each of ${number.toLocaleString("en")}` : `${TIMES[0]}–${TIMES[1]} for each instance picture by the guide`),
    );
    fill(
      seen,
      problems,
      own?.thumbnails?.length > 0 && el("div.thumbnails", { data: { role: "seen" } }, own.thumbnails.map((one) => thumbnail(app, one)), own.pictures > own.thumbnails.length && el("span.more", {}, `+ ${(own.pictures - own.thumbnails.length).toLocaleString("en")}`)),
      own?.pictures > 0 && el("p.help", {}, `${count(own.captions, "caption", "captions")} for ${count(own.pictures, "picture", "pictures")}.`),
    );
  }

  const later = debounced(draw, 300);
  app.whenDraft(node, (paths) => {
    if (paths && !paths.some((path) => path.startsWith("dataset.concepts."))) return;
    drawChips();
    later();
  });
  app.whenProblems(node, say);
  panel.listen("concept", draw);
  panel.listen("pictures", () => look(true));
  draw();
  return { name: "concepts", node, shown: () => look(true) };
}

function thumbnail(app, { name, picture, width, height, caption }) {
  const words = caption ? `${name}: ${caption}` : name;
  const small = Math.max(width, height) <= 128 ? "sdft-pixels" : "";
  return el(
    "figure.thumbnail",
    { title: `${words}\n${width} × ${height}` },
    el("img", { src: app.api.url(picture, { side: 192 }), alt: words, loading: "lazy", width: 72, height: 72, class: small }),
  );
}
