// The report of the dataset: asked for, watched while the pictures are looked at, shown, and asked for again when things change.

import { part } from "../shared/api.mjs";
import { buckets, histogram, leftOver } from "./charts.mjs";
import { copiesList } from "./duplicates.mjs";
import { findingsList } from "./findings.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

const KEPT = "sdft.report";
const BATCH = "train.batch_size";
const STATES = { waiting: "Waiting for another report …", reading: "Reading names and headers …", looking: "Looking at the pictures", comparing: "Comparing all of them …" };
const OVER = ["finished", "cancelled", "failed"];

export function reportSection(app, panel) {
  const ask = button("Look at the pictures", () => start(), { kind: "primary", data: { action: "dataset-report" } });
  const stop = button("Cancel", () => cancel(), { kind: "small", data: { action: "dataset-report-cancel" } });
  const bar = el("div.bar", {}, el("div.bar-fill"));
  const words = el("p.progress-facts", { role: "status" });
  const progress = el("div.stack.tight", { hidden: true }, bar, el("div.row", {}, words, el("span.spring"), stop));
  const stale = el("div.notice.warn", { role: "status", hidden: true }, el("span", {}, "Pictures or settings have changed since this report: look again to bring it up to date."));
  const undo = el("div.notice", { role: "status", hidden: true });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const body = el("div.stack", { data: { role: "report" } });
  const charts = el("div.report-charts");
  const intro = el("p.help", {}, "Every picture is opened once: copies, blurred and dark ones, what recurs, and how the sizes fit. Nothing is changed.");
  const node = el(
    "section.card",
    { "aria-label": "Report", data: { section: "report" } },
    el("div.row.wrap", {}, el("h2.title", {}, "Report"), el("span.spring"), ask),
    intro,
    progress,
    problem,
    stale,
    undo,
    body,
  );
  let id = null;
  let told = null;
  /** What the shown report was asked about. */
  let about = "";
  let timer = 0;
  /** Files that were removed since, and whether pictures came or went by other ways. */
  const gone = new Set();
  let outside = false;

  const subject = () => {
    const { dataset = {}, train = {} } = app.draft.nested();
    const { batch_size, accumulation } = train;
    return JSON.stringify([dataset, batch_size, accumulation]);
  };

  async function start() {
    clearTimeout(timer);
    problem.hidden = true;
    stale.hidden = true;
    undo.hidden = true;
    ask.disabled = true;
    try {
      about = subject();
      gone.clear();
      outside = false;
      const begun = await app.api.post("datasets/report", { recipe: app.draft.nested() });
      id = begun.id;
      keep();
      await follow();
    } catch (error) {
      fail(error.message);
    } finally {
      ask.disabled = false;
    }
  }

  async function cancel() {
    await app.attempt(() => app.api.post(`datasets/report/${part(id)}/cancel`), stop);
    clearTimeout(timer);
    follow();
  }

  async function follow() {
    const mine = id;
    let found;
    try {
      found = await app.api.get(`datasets/report/${part(mine)}`);
    } catch (error) {
      if (mine !== id) return;
      // A server that was restarted has forgotten it; one that is away comes back.
      if (error.status === 404) return forget();
      timer = setTimeout(follow, 3000);
      return;
    }
    if (mine !== id) return;
    const over = OVER.includes(found.state);
    progress.hidden = over;
    if (!over) {
      const looking = found.state === "looking" && found.total > 0;
      bar.classList.toggle("sdft-busy", !looking);
      bar.firstElementChild.style.width = looking ? `${(100 * found.done) / found.total}%` : "30%";
      words.textContent = looking ? `${STATES.looking}: ${found.done.toLocaleString("en")} of ${found.total.toLocaleString("en")}` : STATES[found.state];
      timer = setTimeout(follow, 400);
      return;
    }
    if (found.state === "failed") return fail(found.message);
    if (found.state === "cancelled") return fail("Cancelled: the pictures were not all looked at.");
    told = found.report;
    show();
  }

  function forget() {
    id = null;
    told = null;
    progress.hidden = true;
    keep();
    show();
  }

  function fail(sentence) {
    progress.hidden = true;
    problem.textContent = sentence;
    problem.hidden = false;
  }

  const api = {
    get id() {
      return id;
    },
    get told() {
      return told;
    },
    path: (what) => `datasets/report/${part(id)}/${what}`,

    /** Moves files to the trash; `body` is { files }, { finding } or { exact: true }. Returns the numbers removed. */
    async remove(body, button_ = null) {
      let gone = [];
      await app.attempt(async () => {
        const { removed } = await app.api.post(api.path("remove"), body);
        gone = removed.flatMap((one) => one.files);
        if (gone.length) api.removed(removed);
      }, button_);
      return gone;
    },

    /** Says what was removed, with the way back. */
    removed(removals) {
      const files = removals.flatMap((one) => one.files);
      const back = button("Undo", async () => {
        if (await api.restore(removals, back)) undo.hidden = true;
      }, { kind: "small", data: { action: "dataset-undo" } });
      fill(undo, el("span", {}, `${count(files.length, "file was", "files were")} moved to the dataset's trash, with caption and mask.`), back);
      undo.hidden = false;
      for (const number of files) gone.add(number);
      for (const act of api.watchers) act(files, true);
      panel.tell("pictures", { from: "report" });
    },

    async restore(removals, button_ = null) {
      const fine = await app.attempt(async () => {
        for (const one of removals) {
          await app.api.post("datasets/restore", { folder: one.folder, id: one.id });
          for (const number of one.files) gone.delete(number);
          for (const act of api.watchers) act(one.files, false);
        }
      }, button_);
      panel.tell("pictures", { from: "report" });
      return fine;
    },
    /** `act(numbers, gone)` hears of files that were removed or put back. */
    watchers: [],
  };

  function show() {
    gone.clear();
    intro.hidden = Boolean(told);
    ask.textContent = told ? "Look again" : "Look at the pictures";
    problem.hidden = true;
    api.watchers = [];
    if (!told) return fill(body);
    fill(
      body,
      el("p", { data: { role: "counts" } }, summary()),
      charts,
      el(
        "div.histograms",
        {},
        histogram("Shorter side", told.histograms.shorter_side, told.figures.shorter_side, { digits: (value) => `${Math.round(value)} px` }),
        histogram("Sharpness", told.histograms.sharpness, told.figures.sharpness, { ends: ["blurred", "sharp"] }),
        histogram("Brightness", told.histograms.brightness, told.figures.brightness, { ends: ["dark", "bright"] }),
      ),
      copiesList(app, api),
      findingsList(app, panel, api),
    );
    drawCharts();
    follows();
  }

  /** What batches leave over follows the batch size of the draft at once. */
  function drawCharts() {
    const batch = app.draft.get(BATCH);
    if (!told || charts.dataset.batch === `${id} ${batch}`) return;
    charts.dataset.batch = `${id} ${batch}`;
    fill(
      charts,
      el("div.stack.tight", { "aria-label": "Buckets", role: "group" }, el("h3.subtitle", {}, "Buckets"), el("p.help", {}, `Showings of an epoch by shape. Hatched: what a batch of ${batch} leaves over; it opens the next epoch.`), buckets(told.buckets, batch)),
      el("div.stack.tight", {}, el("h3.subtitle", {}, "Left over, by batch size"), el("p.help", {}, "A click chooses the batch size."), leftOver(told.left_over, batch, (size) => app.draft.set(BATCH, size))),
    );
  }

  function summary() {
    const own = told.concepts.reduce((sum, one) => sum + one.instance_pictures, 0);
    const others = told.concepts.reduce((sum, one) => sum + one.regularization_pictures, 0);
    const sizes = told.figures.sizes;
    return `${count(own, "instance picture", "instance pictures")} of ${count(sizes, "size", "sizes")}, ${count(others, "regularization picture", "regularization pictures")}. An epoch shows ${told.showings_per_epoch.toLocaleString("en")} in ${count(told.steps_per_epoch, "step", "steps")}.`;
  }

  /** Whether the report still says what the draft asks for. */
  function follows() {
    stale.hidden = !told || !(outside || gone.size > 0 || told.removed > 0 || subject() !== about);
  }

  function keep() {
    try {
      if (id) sessionStorage.setItem(KEPT, JSON.stringify({ id, about }));
      else sessionStorage.removeItem(KEPT);
    } catch {
      // Without storage a reloaded page asks again.
    }
  }

  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    if (kept?.id) ({ id, about } = kept);
  } catch {
    id = null;
  }
  app.whenDraft(node, () => {
    follows();
    drawCharts();
  });
  panel.listen("pictures", (news) => {
    if (news?.added) start();
    else if (news?.from === "trash" && told) follow();
    else {
      outside ||= news?.from !== "report";
      follows();
    }
  });
  return {
    name: "report",
    node,
    api,
    start,
    shown() {
      if (id && !told && progress.hidden) follow();
    },
  };
}
