// The report of the dataset: started, watched while pictures are inspected, shown, and marked as out of date when things change.

import { ApiError, part, sentenceOf } from "../shared/api.mjs";
import { button, el, live } from "../shared/dom.mjs";
import { progressBar } from "../shared/run_widgets.mjs";
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
const INSPECT = "Inspect the pictures";

/** @param {App} app @param {DatasetPanel} panel @returns {DatasetSection} */
export function reportSection(app, panel) {
  return new ReportSection(app, panel);
}

/** @implements {DatasetSection} */
class ReportSection {
  name = "report";
  /** What the shown report is about. */
  #subject = "";
  /** Whether pictures came or went by other ways than this report. */
  #outside = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {App} app @param {DatasetPanel} panel */
  constructor(app, panel) {
    this.app = app;
    this.open = new OpenReport(app, panel);
    this.view = reportView(app, panel, this.open);
    this.parts = reportParts(this.open, this.view.node, () => this.#start(), (event) => this.#cancel(event));
    this.node = this.parts.node;
    this.#restore();
    app.whenDraft(this.node, () => {
      this.#checkStale();
      this.view.drawCharts();
    });
    panel.listen("pictures", (news) => this.#picturesChanged(news));
  }

  shown() {
    if (this.open.id && !this.open.data && this.parts.progress.node.hidden) this.#follow();
  }

  /** Makes the report, unless it is being made. */
  inspect() {
    if (!this.parts.ask.disabled && this.parts.progress.node.hidden) this.#start();
  }

  async #start() {
    const { open } = this;
    const { ask, problem, stale } = this.parts;
    clearTimeout(this.#timer);
    problem.hidden = true;
    stale.hidden = true;
    open.notice.hidden = true;
    ask.disabled = true;
    try {
      this.#subject = subjectOf(this.app.draft.nested());
      open.gone.clear();
      this.#outside = false;
      /** @type {{ id: string }} */
      const begun = await this.app.api.post("datasets/report", { recipe: this.app.draft.nested() });
      open.id = begun.id;
      this.#keep();
      await this.#follow();
    } catch (error) {
      this.#fail(sentenceOf(error));
    } finally {
      ask.disabled = false;
    }
  }

  /** @param {MouseEvent} event */
  async #cancel(event) {
    const pressed = event.currentTarget instanceof HTMLButtonElement ? event.currentTarget : null;
    await this.app.attempt(() => this.app.api.post(this.open.path("cancel")), pressed);
    clearTimeout(this.#timer);
    this.#follow();
  }

  /** Asks how far the report is, again and again until it is over; then shows it. */
  async #follow() {
    const { id } = this.open;
    if (id === null) return;
    /** @type {ReportAnswer} */
    let found;
    try {
      found = await this.app.api.get(`datasets/report/${part(id)}`);
    } catch (error) {
      if (id !== this.open.id) return;
      // A server that was restarted has forgotten it; one that can't be reached comes back.
      if (error instanceof ApiError && error.status === 404) this.#forget();
      else this.#timer = setTimeout(() => this.#follow(), AFTER_FAILURE);
      return;
    }
    if (id === this.open.id) this.#take(found);
  }

  /** @param {ReportAnswer} found */
  #take(found) {
    this.parts.progress.show(found);
    if (!isOver(found.state)) this.#timer = setTimeout(() => this.#follow(), EVERY);
    else if (found.state === "failed") this.#fail(this.app.api.inWords(found.message));
    else if (found.state === "cancelled") this.#fail("Cancelled: not all pictures were inspected.");
    else {
      this.open.data = found.report;
      this.#show();
    }
  }

  #forget() {
    this.open.id = null;
    this.open.data = null;
    this.parts.progress.node.hidden = true;
    this.#keep();
    this.#show();
  }

  /** @param {string} sentence */
  #fail(sentence) {
    const { problem, progress } = this.parts;
    progress.node.hidden = true;
    problem.textContent = sentence;
    problem.hidden = false;
  }

  #show() {
    const { data, gone } = this.open;
    gone.clear();
    this.parts.intro.hidden = Boolean(data);
    this.parts.ask.textContent = data ? "Inspect again" : INSPECT;
    this.parts.problem.hidden = true;
    this.view.draw();
    if (data) this.#checkStale();
  }

  /** Says whether the report is still about what the draft holds. */
  #checkStale() {
    const { data, gone } = this.open;
    const changed = this.#outside || gone.size > 0 || (data?.removed ?? 0) > 0;
    this.parts.stale.hidden = !data || !(changed || subjectOf(this.app.draft.nested()) !== this.#subject);
  }

  /** @param {PictureNews} [news] */
  #picturesChanged(news) {
    if (news?.added) this.#start();
    else if (news?.from === "trash" && this.open.data) this.#follow();
    else {
      this.#outside ||= news?.from !== "report";
      this.#checkStale();
    }
  }

  /** Keeps which report is shown, so that a reloaded page finds it again. */
  #keep() {
    if (this.open.id) writeJson(storage, KEPT, { id: this.open.id, about: this.#subject });
    else writeText(storage, KEPT, null);
  }

  #restore() {
    const kept = /** @type {{ id?: string, about?: string } | null} */ (readJson(storage, KEPT));
    if (!kept?.id) return;
    this.open.id = kept.id;
    this.#subject = kept.about ?? "";
  }
}

/**
 * Makes the section's elements.
 * @param {OpenReport} open
 * @param {HTMLElement} body
 * @param {() => unknown} start
 * @param {(event: MouseEvent) => unknown} cancel
 */
function reportParts(open, body, start, cancel) {
  const ask = button(INSPECT, start, { kind: "primary", data: { action: "dataset-report" } });
  const progress = progressView(cancel);
  const changed = "Pictures or settings have changed since this report was made: inspect them again to update it.";
  const stale = el("div.notice.warn", { hidden: true }, el("span", {}, changed));
  const problem = el("p.problem", { role: "alert", hidden: true });
  const intro = el("p.help", {}, "Opens every picture once, and finds duplicates, blurred and dark pictures, what recurs, and how the sizes fit. Nothing is changed.");
  const node = el(
    "section.card",
    { "aria-label": "Report", data: { section: "report" } },
    el("div.row.wrap", {}, el("h2.title", {}, "Report"), el("span.spring"), ask),
    intro,
    progress.node,
    problem,
    live(stale, open.notice),
    body,
  );
  return { node, ask, intro, progress, problem, stale };
}

/** Makes the bar that shows how far a report is. @param {(event: MouseEvent) => unknown} cancel */
function progressView(cancel) {
  const bar = progressBar("Inspecting");
  const facts = el("p.progress-facts");
  const stop = button("Cancel", cancel, { kind: "small", data: { action: "dataset-report-cancel" } });
  const node = el("div.stack.tight", { hidden: true }, bar.node, el("div.row", {}, facts, el("span.spring"), stop));
  return {
    node,
    /** @param {ReportAnswer} answer */
    show(answer) {
      node.hidden = isOver(answer.state);
      if (node.hidden) return;
      const { share, text } = progressOf(answer);
      bar.set(share ?? 0, share === null ? 0 : 1, "preparing");
      facts.textContent = text;
    },
  };
}
