// Regularization pictures, drawn by the loaded model: what is asked for, how far it is, and what has come of it.

import { sentenceOf } from "../shared/api.mjs";
import { button, debounced, el, keyed } from "../shared/dom.mjs";
import { linksOf } from "../shared/folders.mjs";
import { Poll } from "../shared/poll.mjs";
import { STATES } from "../shared/run_widgets.mjs";
import { drawingAdvice, regularizationRange } from "./recommended.mjs";
import { RegularizationForm } from "./regularization_form.mjs";
import { anyRemembered, assignFolder, isUnderWay, jobView, remember, shownJobs } from "./regularization_jobs.mjs";

/** @import { App, Dataset } from "../types.d.ts" */
/** @import { DatasetPanel, DatasetSection, Finding, RegularizationJob } from "./types.d.ts" */

/** How often jobs are asked for while one is under way, and otherwise (ms). */
const OFTEN = 1000;
const SELDOM = 5000;

/** A section of the Dataset panel: for the concept that is chosen there. @param {App} app @param {DatasetPanel} panel @returns {DatasetSection} */
export function regularizationSection(app, panel) {
  const drawing = regularization(app, () => panel.concept, () => panel.notify("pictures"));
  panel.listen("concept", drawing.follow);
  const remedy = {
    label: "Draw them with the model",
    /** @param {Finding} finding */
    when: ({ kind, facts }) => kind === "no_regularization" || facts.regularization < facts.low,
    /** @param {Finding} finding */
    act(finding) {
      panel.choose(finding.concept ?? 0);
      drawing.open();
      return false; // the finding holds until they are drawn
    },
  };
  for (const kind of ["no_regularization", "regularization_ratio"]) panel.offer(kind, remedy);
  const data = { section: "regularization" };
  const node = el("section.card", { "aria-label": "Regularization pictures", data }, el("h2.title", {}, "Regularization pictures"), drawing.node);
  return { node, name: "regularization", shown: drawing.shown };
}

/**
 * Makes the fold below a regularization folder.
 * @param {App} app
 * @param {() => number} concept gives the number of the concept that it belongs to
 * @param {() => unknown} came is called when its pictures have been drawn
 */
export function regularization(app, concept = () => 0, came = () => {}) {
  const path = () => `dataset.concepts.${concept()}`;
  const form = new RegularizationForm(app, path);
  const advice = adviceFor(app, form, path);
  const problem = el("p.problem", { role: "alert", hidden: true });
  const draw = button("Draw the pictures", start, { kind: "primary", data: { action: "regularize" } });
  const list = el("div.stack.tight");
  const spoken = el("span.spoken", { role: "status" });
  /** The states that the jobs were in. @type {Map<string, string>} */
  let states = new Map();
  const node = fold([...form.nodes, problem, el("div.row.wrap", {}, draw, el("span.help", {}, "Takes turns with your generations and with runs, one at a time.")), spoken, list]);
  /** How many pictures each job had drawn when they were last counted. */
  let counted = "";
  const refreshAdvice = debounced(() => node.open && advice.refresh(), 400);

  function follow() {
    form.follow();
    refreshAdvice();
  }

  async function start() {
    problem.hidden = true;
    draw.disabled = true;
    try {
      /** @type {{ name: string }} */
      const { name } = await app.api.post("regularization", form.read());
      remember(name, `${path()}.regularization`);
      poll.now();
      await app.refresh();
    } catch (error) {
      problem.textContent = sentenceOf(error);
      problem.hidden = false;
    } finally {
      draw.disabled = false;
    }
  }

  /** Asks how far the jobs are, and gives the folder of one that has ended to its concept. */
  async function refresh() {
    /** @type {{ samplers: string[], jobs: RegularizationJob[] }} */
    const { samplers, jobs } = await app.api.get("regularization");
    form.setSamplers(samplers);
    const news = jobs.filter(({ name, state }) => states.has(name) && states.get(name) !== state);
    if (news.length) spoken.textContent = news.map(({ state, message }) => [STATES[state] ?? state, message && app.api.inWords(message)].filter(Boolean).join(": ")).join(". ");
    states = new Map(jobs.map(({ name, state }) => [name, state]));
    const busy = jobs.some(isUnderWay);
    poll.every = busy ? OFTEN : SELDOM;
    for (const job of jobs) if (job.state === "finished" && job.done > 0 && assignFolder(app, job)) came();
    keyed(list, shownJobs(jobs), (job) => job.name, (job) => jobView(app, job, `${path()}.regularization`, () => poll.now()));
    if (busy || !advice.asked) return;
    const drawn = jobs.map((job) => job.done).join();
    if (drawn !== counted) advice.forget();
    counted = drawn;
    refreshAdvice();
  }

  const poll = new Poll({
    ask: refresh,
    every: SELDOM,
    visible: () => app.visible && node.open && node.offsetParent !== null,
    over: () => app.over,
  });
  node.addEventListener("toggle", () => {
    if (!node.open) return;
    follow();
    poll.now();
  });
  app.whenDraft(node, follow);
  follow();
  poll.start();
  // A job that was started on an earlier page, or in another tab, ends here too.
  if (anyRemembered()) node.open = true;
  return {
    node,
    follow,
    shown: () => node.open && poll.now(),
    open() {
      node.open = true;
      app.point(node, form.prompts);
    },
  };
}

/** @param {HTMLElement[]} content */
function fold(content) {
  return el(
    "details.section.regularization",
    { data: { role: "regularization" } },
    el("summary", {}, el("span.section-name", {}, "Draw them with the model"), el("span.quiet", {}, "What it draws for the class before it learns the concept.")),
    el("div.stack", {}, content),
  );
}

/**
 * Keeps the form's advice: how many pictures are recommended for those that there are.
 * @param {App} app
 * @param {RegularizationForm} form
 * @param {() => string} path
 */
function adviceFor(app, form, path) {
  /** The folders that were counted last. */
  let asked = "";

  /** @param {string} folder */
  async function countIn(folder) {
    if (!folder) return 0;
    try {
      /** @type {Dataset} */
      const { pictures } = await app.api.get("datasets", { folder, count: 0, ...linksOf(app) });
      return pictures;
    } catch {
      return 0; // the folder's own control says what is wrong with it
    }
  }

  async function refresh() {
    const folders = ["instance", "regularization"].map((name) => app.draft.text(`${path()}.${name}`));
    const now = folders.join("\n");
    if (now === asked) return;
    asked = now;
    const [instances, drawn] = await Promise.all(folders.map(countIn));
    if (asked !== now) return;
    const { recommended } = app.schema;
    form.advice.textContent = drawingAdvice(recommended, instances, drawn);
    if (instances) form.suggestCount(regularizationRange(recommended, instances).low - drawn);
  }

  return {
    refresh,
    get asked() {
      return asked !== "";
    },
    /** Counts again even if the folders are the same. */
    forget() {
      asked = "";
    },
  };
}
