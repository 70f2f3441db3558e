// The report of the dataset: started, watched while pictures are looked at, shown, and marked as out of date when things change.

import { ApiError, part, sentenceOf } from "../shared/api.mjs";
import { button, el } from "../shared/dom.mjs";
import { readJson, writeJson, writeText } from "../shared/storage.mjs";
import { OpenReport } from "./open_report.mjs";
import { isOver, progressOf, subjectOf } from "./report_text.mjs";
import { reportView } from "./report_view.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { DatasetPanel, DatasetSection, PictureNews, ReportAnswer } from "./types.d.ts" */

const KEPT = "sdft.report";
const storage = () => sessionStorage;
/** How often a report is asked for while it is made, and after a failed request (ms). */
const EVERY = 400;
const AFTER_FAILURE = 3000;
const LOOK = "Look at the pictures";

/** @param {App} app @param {DatasetPanel} panel @returns {DatasetSection} */
export function reportSection(app, panel) {
  const open = new OpenReport(app, panel);
  const view = reportView(app, panel, open);
  const parts = reportParts(open, view.node, start, cancel);
  const { ask, intro, progress, problem, stale } = parts;
  /** What the shown report is about. */
  let subject = "";
  /** Whether pictures came or went by other ways than this report. */
  let outside = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  async function start() {
    clearTimeout(timer);
    problem.hidden = true;
    stale.hidden = true;
    open.notice.hidden = true;
    ask.disabled = true;
    try {
      subject = subjectOf(app.draft.nested());
      open.gone.clear();
      outside = false;
      /** @type {{ id: string }} */
      const begun = await app.api.post("datasets/report", { recipe: app.draft.nested() });
      open.id = begun.id;
      writeJson(storage, KEPT, { id: begun.id, about: subject });
      await follow();
    } catch (error) {
      fail(sentenceOf(error));
    } finally {
      ask.disabled = false;
    }
  }

  /** @param {MouseEvent} event */
  async function cancel(event) {
    const pressed = event.currentTarget instanceof HTMLButtonElement ? event.currentTarget : null;
    await app.attempt(() => app.api.post(open.path("cancel")), pressed);
    clearTimeout(timer);
    follow();
  }

  /** Asks how far the report is, again and again until it is over; then shows it. */
  async function follow() {
    const id = open.id;
    if (id === null) return;
    /** @type {ReportAnswer} */
    let found;
    try {
      found = await app.api.get(`datasets/report/${part(id)}`);
    } catch (error) {
      if (id !== open.id) return;
      // A server that was restarted has forgotten it; one that can't be reached comes back.
      if (error instanceof ApiError && error.status === 404) forget();
      else timer = setTimeout(follow, AFTER_FAILURE);
      return;
    }
    if (id !== open.id) return;
    progress.show(found);
    if (!isOver(found.state)) timer = setTimeout(follow, EVERY);
    else if (found.state === "failed") fail(found.message);
    else if (found.state === "cancelled") fail("Cancelled: not all pictures were looked at.");
    else {
      open.data = found.report;
      show();
    }
  }

  function forget() {
    open.id = null;
    open.data = null;
    progress.node.hidden = true;
    writeText(storage, KEPT, null);
    show();
  }

  /** @param {string} sentence */
  function fail(sentence) {
    progress.node.hidden = true;
    problem.textContent = sentence;
    problem.hidden = false;
  }

  function show() {
    open.gone.clear();
    intro.hidden = Boolean(open.data);
    ask.textContent = open.data ? "Look again" : LOOK;
    problem.hidden = true;
    view.draw();
    if (open.data) checkStale();
  }

  /** Says whether the report is still about what the draft holds. */
  function checkStale() {
    const changed = outside || open.gone.size > 0 || (open.data?.removed ?? 0) > 0;
    stale.hidden = !open.data || !(changed || subjectOf(app.draft.nested()) !== subject);
  }

  /** @param {PictureNews} [news] */
  function picturesChanged(news) {
    if (news?.added) start();
    else if (news?.from === "trash" && open.data) follow();
    else {
      outside ||= news?.from !== "report";
      checkStale();
    }
  }

  const kept = /** @type {{ id?: string, about?: string } | null} */ (readJson(storage, KEPT));
  if (kept?.id) {
    open.id = kept.id;
    subject = kept.about ?? "";
  }
  app.whenDraft(parts.node, () => {
    checkStale();
    view.drawCharts();
  });
  panel.listen("pictures", picturesChanged);
  return {
    name: "report",
    node: parts.node,
    shown() {
      if (open.id && !open.data && progress.node.hidden) follow();
    },
  };
}

/**
 * Makes the section's elements.
 * @param {OpenReport} open
 * @param {HTMLElement} body
 * @param {() => unknown} start
 * @param {(event: MouseEvent) => unknown} cancel
 */
function reportParts(open, body, start, cancel) {
  const ask = button(LOOK, start, { kind: "primary", data: { action: "dataset-report" } });
  const progress = progressView(cancel);
  const changed = "Pictures or settings have changed since this report was made: look again to update it.";
  const stale = el("div.notice.warn", { role: "status", hidden: true }, el("span", {}, changed));
  const problem = el("p.problem", { role: "alert", hidden: true });
  const intro = el("p.help", {}, "Opens every picture once, and finds duplicates, blurred and dark pictures, what recurs, and how the sizes fit. Nothing is changed.");
  const node = el(
    "section.card",
    { "aria-label": "Report", data: { section: "report" } },
    el("div.row.wrap", {}, el("h2.title", {}, "Report"), el("span.spring"), ask),
    intro,
    progress.node,
    problem,
    stale,
    open.notice,
    body,
  );
  return { node, ask, intro, progress, problem, stale };
}

/** Makes the bar that shows how far a report is. @param {(event: MouseEvent) => unknown} cancel */
function progressView(cancel) {
  const filled = el("div.bar-fill");
  const bar = el("div.bar", {}, filled);
  const facts = el("p.progress-facts", { role: "status" });
  const stop = button("Cancel", cancel, { kind: "small", data: { action: "dataset-report-cancel" } });
  const node = el("div.stack.tight", { hidden: true }, bar, el("div.row", {}, facts, el("span.spring"), stop));
  return {
    node,
    /** @param {ReportAnswer} answer */
    show(answer) {
      node.hidden = isOver(answer.state);
      if (node.hidden) return;
      const { share, text } = progressOf(answer);
      bar.classList.toggle("sdft-busy", share === null);
      filled.style.width = share === null ? "30%" : `${100 * share}%`;
      facts.textContent = text;
    },
  };
}
