// The Monitor panel: one run as it is on the server's disk. A reload of the page loses nothing.

import { ApiError, part, sentenceOf } from "../shared/api.mjs";
import { button, el, fill, live } from "../shared/dom.mjs";
import { notifyChoice } from "../shared/notify.mjs";
import { Poll } from "../shared/poll.mjs";
import { changeable, namedSettings } from "../shared/resume_changes.mjs";
import { active, badge, progressBar, resumable, runMenu } from "../shared/run_widgets.mjs";
import { lastVerdict, verdictNode } from "../shared/verdict.mjs";
import { ActionButtons } from "./action_buttons.mjs";
import { LossChart } from "./chart.mjs";
import { ControlHistory } from "./control_pictures.mjs";
import { DeviceLoadText } from "./device_load.mjs";
import { RunFiles } from "./files.mjs";
import { judgedSteps } from "./judged.mjs";
import { QueueList } from "./queue.mjs";
import { eventText, progressText } from "./run_text.mjs";

/** @import { App, LogLine, RunDetail, RunLog, Status } from "../types.d.ts" */

/** Milliseconds between two questions about a run that goes on, and one that has ended: it changes only when somebody resumes it. */
const OFTEN = 1000;
const SELDOM = 5000;

/** @param {App} app */
export function monitorPanel(app) {
  return new MonitorPanel(app);
}

class MonitorPanel {
  #app;
  #menu;
  #state = el("span", { role: "status" });
  #bar = progressBar();
  #facts = el("p.progress-facts", { data: { role: "facts" } });
  #message = el("p.notice", { hidden: true });
  #buttons;
  #chart = new LossChart();
  #history;
  #events = el("ol.events");
  #verdict = el("div.stack.tight");
  /** What the judge makes of the control pictures. */
  #judged = el("div.stack.tight");
  #grid = el("img.grid-picture", { alt: "Saves and control prompts as a grid", loading: "lazy" });
  #gridCard = el("details.card.fold", { hidden: true }, el("summary", {}, "Grid of saves"), this.#grid);
  #files = new RunFiles();
  #device;
  #none;
  #progress;
  #about;
  #poll;
  /** @type {string | null} */
  #run = null;
  /** Whether the user has chosen the run: then it stays when another one starts. */
  #pinned = false;
  /** The next line of the log, and the log's version. */
  #next = 0;
  /** @type {string | null} */
  #version = null;
  /** @type {RunDetail | null} */
  #detail = null;
  /** @type {Status | null} */
  #status = null;
  /** The run and the message that is shown. */
  #told = "";
  /** The last line with a step's numbers. @type {Partial<LogLine>} */
  #last = {};

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#menu = runMenu(
      app,
      "Run",
      () => true,
      (id) => this.choose(id),
    );
    this.#buttons = new ActionButtons(app, () => {
      this.#poll.now();
      app.poll.now();
    });
    this.#history = new ControlHistory(app);
    this.#device = new DeviceLoadText(app);
    this.#none = el(
      "div.card.empty",
      {},
      el("p", {}, "No runs yet."),
      button("Set up a run", () => app.show("train")),
    );
    this.#progress = el(
      "section.card",
      { "aria-label": "Progress", hidden: true },
      el("div.row.wrap", {}, this.#menu.node, this.#state, el("span.spring"), this.#buttons.node),
      this.#bar.node,
      el("div.row.wrap", {}, this.#facts, el("span.spring"), notifyChoice()),
      this.#device.node,
      live(this.#message),
    );
    this.#about = el(
      "div.stack",
      { hidden: true },
      el("section.card", { "aria-label": "Loss" }, el("h2.title", {}, "Loss"), this.#chart.node, this.#verdict),
      el("section.card", { "aria-label": "Control pictures" }, el("h2.title", {}, "Control pictures"), this.#judged, this.#history.node),
      this.#gridCard,
      el("details.card.fold", {}, el("summary", {}, "Events"), this.#events),
      this.#files.node,
    );
    this.node = el("div.monitor", {}, this.#none, this.#progress, new QueueList(app).node, this.#about);
    this.#poll = new Poll({
      ask: () => this.#look(),
      every: OFTEN,
      visible: () => app.visible && !this.node.parentElement?.hidden && this.#run !== null,
      over: () => app.over,
      trouble: (error) => {
        if (error && !(error instanceof ApiError && error.status === 404)) this.#tell(sentenceOf(error), "bad");
      },
    }).start();
    app.whenRuns(this.node, () => this.#follow());
  }

  /**
   * Shows a run. `byUser`: and stays with it when another one starts.
   * @param {string} id
   */
  choose(id, byUser = true) {
    this.#pinned = byUser;
    if (id === this.#run) return;
    this.#run = id;
    this.#restart();
    this.#detail = this.#status = null;
    this.#last = {};
    // Until the first answer nothing of another run may be taken for this one's.
    fill(this.#state);
    fill(this.#verdict);
    fill(this.#judged);
    this.#buttons.clear();
    this.#gridCard.hidden = true;
    this.#facts.textContent = "";
    this.#tell("", "plain");
    this.#history.show(id, null);
    this.#follow();
    this.#poll.now();
  }

  /** Reads the log from its start. */
  #restart() {
    this.#next = 0;
    this.#version = null;
    this.#chart.clear();
    fill(this.#events);
  }

  /** Asks for what is new in the log, until there is no more. @returns {Promise<void>} */
  async #look() {
    const id = this.#run;
    if (id === null) return;
    /** @type {RunLog} */
    const found = await this.#app.api.get(`runs/${part(id)}/status`, { since: this.#next });
    if (id !== this.#run) return;
    // A run that was resumed has written its log anew: read it from its start.
    if (this.#version !== null && found.log !== this.#version) {
      this.#restart();
      return this.#look();
    }
    this.#version = found.log;
    this.#next = found.next;
    this.#addLines(found.lines);
    const before = this.#status?.state;
    this.#status = found.status;
    this.#poll.every = active(found.status) || found.status.state === "waiting" ? OFTEN : SELDOM;
    const changed = before !== found.status.state;
    if (!this.#detail || changed || found.lines.some(({ event }) => event === "save" || event === "controls" || event === "judged")) {
      if (!(await this.#lookWhole(id))) return;
      if (before && changed) this.#app.refresh();
    }
    this.#show(id, found.status);
    await this.#device.follow(active(found.status) && id === this.#app.runs.current);
    if (found.more) return this.#look();
  }

  /** @param {LogLine[]} lines */
  #addLines(lines) {
    this.#chart.add(lines);
    for (const line of lines) {
      if (line.event) this.#events.prepend(el("li", { class: line.event === "warning" ? "sdft-problem" : "" }, this.#app.api.inWords(eventText(line))));
      else if ("pictures_per_second" in line) this.#last = line;
    }
  }

  /**
   * Asks for all of a run; returns whether it is still the one that is shown.
   * @param {string} id
   */
  async #lookWhole(id) {
    /** @type {RunDetail} */
    const detail = await this.#app.api.get(`runs/${part(id)}`);
    if (id !== this.#run) return false;
    this.#detail = detail;
    this.#history.show(id, detail.controls, judgedSteps(detail.marks));
    this.#showVerdict(detail);
    this.#files.show(detail);
    return true;
  }

  /**
   * @param {string} id
   * @param {Status} status
   */
  #show(id, status) {
    const state = badge(status.state);
    // A screen reader reads aloud whatever is put there anew.
    if (this.#state.textContent !== state.textContent) fill(this.#state, state);
    this.#bar.set(status.step, status.total, status.state);
    this.#facts.textContent = progressText(status, this.#last);
    const told = JSON.stringify([id, status.state, status.message]);
    this.#chart.draw();
    this.#buttons.draw(id, status, this.#detail);
    if (told === this.#told) return; // the button in the message keeps the keyboard
    this.#tell(this.#app.api.inWords(status.message), status.state === "failed" ? "bad" : "plain");
    if (resumable(status)) this.#leadOn(id, status.message);
    this.#told = told;
  }

  /**
   * @param {string} text empty for none
   * @param {"bad" | "plain"} kind
   */
  #tell(text, kind) {
    this.#told = "";
    this.#message.hidden = !text;
    this.#message.textContent = text ?? "";
    this.#message.className = `sdft-notice sdft-${kind}`;
  }

  /**
   * Where a message names settings that the run can be resumed with (a learning rate that was too high), adds the way there.
   * @param {string} id
   * @param {string} message
   */
  #leadOn(id, message) {
    if (!this.#detail) return;
    const named = namedSettings(message, changeable(this.#app.schema, this.#detail.recipe.method.name));
    if (!named.length) return;
    const way = button("Change it and resume …", () => this.#buttons.resumeWith(id, named), { kind: "small", data: { action: "lead-on" } });
    this.#message.append(" ", way);
  }

  /** @param {RunDetail} detail */
  #showVerdict(detail) {
    const { id, verdict, advice, grid, saves, marks } = detail;
    fill(this.#judged, verdictNode(this.#app, detail));
    const told = lastVerdict(marks)?.text === advice;
    fill(this.#verdict, advice && !told && el(verdict === "fine" ? "p.help" : "p.advice", { data: { verdict } }, this.#app.api.inWords(advice)));
    this.#gridCard.hidden = !grid;
    if (!grid) return;
    const url = this.#app.api.url(`runs/${part(id)}/grid`, { saves: saves.length });
    if (this.#grid.src !== url) this.#grid.src = url;
  }

  /** Follows the list of runs: without a choice of the user, the one that trains is shown. @returns {void} */
  #follow() {
    const { runs, current } = this.#app.runs;
    this.#none.hidden = runs.length > 0;
    if (this.#run && !runs.some(({ id }) => id === this.#run)) {
      this.#run = null;
      this.#pinned = false;
    }
    if (!this.#pinned || !this.#run) {
      const wanted = current ?? this.#run ?? runs[0]?.id ?? null;
      if (wanted && wanted !== this.#run) return this.choose(wanted, false);
    }
    this.#progress.hidden = this.#about.hidden = this.#run === null;
    this.#menu.draw(this.#run);
    // The chosen run starts or ends by itself.
    const listed = runs.find(({ id }) => id === this.#run);
    if (listed && this.#status && listed.state !== this.#status.state) this.#poll.now();
  }

  shown() {
    this.#follow();
    this.#poll.now();
    this.#chart.draw();
  }
}
