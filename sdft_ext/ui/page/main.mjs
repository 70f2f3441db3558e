// The Fine-tune tab: asks the server what there is, and shows its panels.

import { captionsPanel } from "./captions/panel.mjs";
import { datasetPanel } from "./dataset/panel.mjs";
import { evaluatePanel } from "./evaluate/panel.mjs";
import { guidePanel } from "./guide/panel.mjs";
import { monitorPanel } from "./monitor/panel.mjs";
import { runsPanel } from "./runs/panel.mjs";
import { aborted, Api, ApiError, sentenceOf } from "./shared/api.mjs";
import { messageInWindow } from "./shared/dialog.mjs";
import { button, el, fill, focusKeeper } from "./shared/dom.mjs";
import { Draft } from "./shared/draft.mjs";
import { Message } from "./shared/message.mjs";
import { notifyOf } from "./shared/notify.mjs";
import { Poll } from "./shared/poll.mjs";
import { inWords, namesOf } from "./shared/setting_names.mjs";
import { currentRun, RunningSign } from "./shared/running.mjs";
import { SessionView } from "./shared/session_view.mjs";
import { tabs } from "./shared/tabs.mjs";
import { Watchers } from "./shared/watchers.mjs";
import { toolsPanel } from "./tools/panel.mjs";
import { trainPanel } from "./train/panel.mjs";

/** @import { CaptionFilter } from "./captions/types.d.ts" */
/** @import { App, Guide, MethodMemory, Panel, Runs, Schema, SentPicture, Session } from "./types.d.ts" */

/** The panels in the order of their tabs: name and label. */
const PANELS = /** @type {const} */ ([
  ["dataset", "Dataset"],
  ["captions", "Captions"],
  ["train", "Train"],
  ["monitor", "Monitor"],
  ["runs", "Runs"],
  ["evaluate", "Evaluate"],
  ["tools", "Tools"],
  ["guide", "Guide"],
]);
/** The panel that opens first. */
const FIRST = "train";
/** How often runs and session are asked for (ms). */
const RUNS_EVERY = 2000;
const SESSION_EVERY = 15_000;

/** Draws the page into an element. Tries until the server answers. @param {HTMLElement} root */
export async function mount(root) {
  root.classList.add("sdft");
  // The WebUI's own hot keys press buttons that this tab doesn't have.
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.altKey))) event.stopPropagation();
  });
  // Nor may they see the key that closes a window whose focused button has just been disabled: it comes from the page itself.
  const closesWindow = (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && event.target === document.body && root.querySelector("dialog[open]");
  document.addEventListener("keydown", (event) => closesWindow(event) && event.stopPropagation(), true);
  const api = new Api();
  await loadStyle(new URL("sdft.css", import.meta.url).href);
  fill(root, el("p.quiet.loading", { role: "status" }, "Loading …"));
  for (let wait = 1000; ; wait = Math.min(wait * 2, 30_000)) {
    try {
      const { session, schema, guide } = await start(api);
      api.token = session.token;
      return new Page(root, api, session, schema, guide);
    } catch (error) {
      await new Promise((again) => {
        fill(root, el("div.notice.bad", { role: "alert" }, sentenceOf(error), button("Try again", again)));
        setTimeout(again, wait);
      });
    }
  }
}

/** Asks for everything that the page is drawn from, at once. @param {Api} api */
async function start(api) {
  /** @type {Promise<Session>} */
  const session = api.get("session");
  /** @type {Promise<Schema>} */
  const schema = api.get("schema");
  /** @type {Promise<Guide>} */
  const guide = api.get("guide");
  const [one, two, three] = await Promise.all([session, schema, guide]);
  return { session: one, schema: two, guide: three };
}

/** @implements {App} */
class Page {
  /** Runs as the server lists them; panels redraw when it changes. @type {Runs} */
  runs = { runs: [], queue: [], current: null };
  /** Whether another page has taken this one's place. */
  over = false;
  /** Sentences of the server about single settings, by path. @type {Map<string, string>} */
  problems = new Map();
  /** Values that the server suggests for empty settings, by path. @type {Record<string, string>} */
  suggestions = {};
  /** Prompts that the run takes where a list of them is empty, by path. @type {Record<string, string[]>} */
  proposals = {};
  /** Whether the model has changed, so that a new page should take this one's place. */
  #outdated = false;
  #message = new Message();
  #sessionView = new SessionView();
  #running = new RunningSign(this);
  #connection = el("div.notice.bad", { role: "alert", hidden: true });
  /** @type {Watchers<string[] | null>} */
  #draftWatchers = new Watchers();
  /** @type {Watchers<void>} */
  #problemWatchers = new Watchers();
  /** @type {Watchers<void>} */
  #runWatchers = new Watchers();
  /** @type {Watchers<Record<string, MethodMemory>>} */
  #forecastWatchers = new Watchers();

  /** @param {HTMLElement} root @param {Api} api @param {Session} session @param {Schema} schema @param {Guide} guide */
  constructor(root, api, session, schema, guide) {
    this.root = root;
    this.api = api;
    this.session = session;
    this.schema = schema;
    this.guide = guide;
    this.draft = new Draft(schema);
    api.inWords = (sentence) => inWords(sentence, namesOf(this));
    this.draft.listen((paths) => this.#draftWatchers.notify(paths));
    this.panels = {
      dataset: datasetPanel(this),
      captions: captionsPanel(this),
      train: trainPanel(this),
      monitor: monitorPanel(this),
      runs: runsPanel(this),
      evaluate: evaluatePanel(this),
      tools: toolsPanel(this),
      guide: guidePanel(this),
    };
    /** @type {Record<string, Panel>} */
    const panels = this.panels;
    this.tabs = tabs(PANELS.map(([name, label]) => ({ name, label, node: panels[name].node })), (name) => panels[name].shown?.(), FIRST);
    fill(
      root,
      el("header.top", {}, this.tabs.bar, this.#running.node, this.#sessionView.model),
      this.#sessionView.notices,
      this.#connection,
      this.#message.node,
      this.tabs.body,
      this.#sessionView.version,
    );
    this.#sessionView.show(session);
    const restored = this.tabs.restore();
    const shared = { visible: () => this.visible, over: () => this.over };
    const background = () => currentRun(this.runs) !== undefined;
    this.poll = new Poll({ ...shared, background, ask: () => this.refresh(), every: RUNS_EVERY, trouble: (error) => this.#showTrouble(error) });
    this.sessionPoll = new Poll({ ...shared, ask: () => this.#refreshSession(), every: sessionEvery(session) });
    this.poll.start();
    this.sessionPoll.start();
    if (!restored) this.#openOnRun();
    this.#listen();
  }

  /** Opens on the Monitor in a browser that is new here, if a run trains and nothing has been chosen yet. */
  async #openOnRun() {
    await this.refresh().catch(() => null); // the poll reports trouble
    if (currentRun(this.runs) && this.tabs.chosen === FIRST && !this.draft.changes.length) this.show("monitor");
  }

  /** Listens to the WebUI: a picture is sent, its options change, or its tab is opened. */
  #listen() {
    const refresh = () => this.over || this.sessionPoll.now();
    this.root.addEventListener("sdft-picture", (event) => {
      if (!this.over) this.#receive(/** @type {CustomEvent<SentPicture>} */ (event).detail);
    });
    this.root.addEventListener("sdft-options", refresh);
    const seen = new IntersectionObserver((entries) => {
      if (this.over) seen.disconnect();
      else if (entries.at(-1)?.isIntersecting) refresh();
    });
    seen.observe(this.root);
  }

  /** @param {SentPicture} picture */
  #receive(picture) {
    this.#message.hide();
    if (picture.problem) return this.say(picture.problem, "bad");
    this.show("dataset");
    return this.attempt(() => this.panels.dataset.receive(picture));
  }

  get visible() {
    return this.root.isConnected && this.root.offsetParent !== null;
  }

  /** Whether the host offers something. @param {string} feature */
  can(feature) {
    return this.session.host.features.includes(feature);
  }

  /** Asks for the list of runs, and notifies panels if it has changed. */
  async refresh() {
    /** @type {Runs} */
    const found = await this.api.get("runs");
    if (JSON.stringify(found) !== JSON.stringify(this.runs)) {
      this.runs = found;
      const ended = this.#running.show(found);
      if (ended) notifyOf(this, ended);
      this.#runWatchers.notify();
    }
  }

  /** Calls `act` when settings change, as long as `node` is in the page. @param {Node} node @param {(paths: string[] | null) => unknown} act */
  whenDraft(node, act) {
    this.#draftWatchers.add(node, act);
  }

  /** Calls `act` when the server has judged the recipe. @param {Node} node @param {() => unknown} act */
  whenProblems(node, act) {
    this.#problemWatchers.add(node, act);
  }

  /** Calls `act` when the list of runs changes. @param {Node} node @param {() => unknown} act */
  whenRuns(node, act) {
    this.#runWatchers.add(node, act);
  }

  /** Calls `act` with each new memory forecast. @param {Node} node @param {(methods: Record<string, MethodMemory>) => unknown} act */
  whenForecast(node, act) {
    this.#forecastWatchers.add(node, act);
  }

  /** @param {Record<string, MethodMemory>} methods */
  setForecast(methods) {
    this.#forecastWatchers.notify(methods);
  }

  /** @param {Map<string, string>} problems by path @param {Record<string, string>} suggestions by path @param {Record<string, string[]>} proposals by path */
  setProblems(problems, suggestions = {}, proposals = {}) {
    this.problems = problems;
    this.suggestions = suggestions;
    this.proposals = proposals;
    this.#problemWatchers.notify();
  }

  /**
   * Does something that may fail; its sentence is shown. Returns whether it worked.
   * @param {() => unknown} act
   * @param {HTMLButtonElement | null} pressed disabled meanwhile
   */
  async attempt(act, pressed = null) {
    const keepFocus = focusKeeper(pressed);
    if (pressed) pressed.disabled = true;
    try {
      await act();
      return true;
    } catch (error) {
      if (!aborted(error)) this.say(sentenceOf(error), "bad");
      return false;
    } finally {
      if (pressed?.isConnected) pressed.disabled = false;
      keepFocus();
    }
  }

  /** Shows a sentence above the panel; what went wrong in the window that covers it. Returns what takes it away. @param {string} text @param {"good" | "bad" | "plain" | "warn"} kind */
  say(text, kind = "good") {
    const inWindow = kind === "bad" && messageInWindow(this.root, text, kind);
    return inWindow || this.#message.show(text, kind);
  }

  /** Opens a panel. @param {string} name */
  show(name) {
    this.tabs.show(name);
  }

  /** @param {string} id */
  showGuide(id) {
    this.show("guide");
    this.panels.guide.show(id);
  }

  /** Opens the Tools panel with a tool. @param {string} name */
  showTool(name) {
    this.panels.tools.choose(name);
    this.show("tools");
  }

  /** @param {string} path */
  showSetting(path) {
    this.show("train");
    this.panels.train.show(path);
  }

  /** @param {string} id */
  showRun(id) {
    this.panels.monitor.choose(id);
    this.show("monitor");
  }

  /** Opens a dataset's folder in the Captions panel, filtered or as it was. @param {string} folder @param {CaptionFilter} [filter] */
  showCaptions(folder, filter) {
    this.show("captions");
    this.panels.captions.openFolder(folder, filter);
  }

  /** Opens a section of the Dataset panel; the report is made anew. @param {string} section */
  showDataset(section) {
    this.show("dataset");
    this.panels.dataset.open(section);
  }

  /** Opens a run in the Evaluate panel, and points at the save of a step. @param {string} id @param {number} [step] */
  evaluate(id, step) {
    this.panels.evaluate.choose(id, step);
    this.show("evaluate");
  }

  /** Unfolds what an element is in, brings it into view, and marks it for a moment. @param {HTMLElement} node @param {HTMLElement} focus */
  point(node, focus = node) {
    for (let outer = node.parentElement; outer; outer = outer.parentElement) if (outer instanceof HTMLDetailsElement) outer.open = true;
    requestAnimationFrame(() => {
      node.scrollIntoView({ block: "center" });
      focus.focus({ preventScroll: true });
      node.classList.add("sdft-pointed");
      setTimeout(() => node.classList.remove("sdft-pointed"), 1600);
    });
  }

  async #refreshSession() {
    await this.takeSession(await this.api.get("session"));
  }

  /** Shows a newer session. Another model has other presets: then a new page takes this one's place. @param {Session} session */
  async takeSession(session) {
    if (this.over) return;
    if (session.host.model?.path !== this.session.host.model?.path) this.#outdated = true;
    this.session = session;
    this.api.token = session.token;
    this.sessionPoll.every = sessionEvery(session);
    this.#sessionView.show(session);
    // What the user has set is kept, and nothing changes while somebody is typing.
    if (!this.#outdated || this.root.querySelector("dialog, :is(input, textarea, select):focus")) return;
    /** @type {Schema} */
    const schema = await this.api.get("schema");
    // Another request may have been faster.
    if (this.over) return;
    this.#outdated = false;
    if (JSON.stringify(schema) === JSON.stringify(this.schema)) return;
    this.over = true;
    new Page(this.root, this.api, this.session, schema, this.guide);
  }

  /** Shows that the server can't be reached, or null once it can. @param {unknown} error */
  #showTrouble(error) {
    this.#connection.hidden = !error;
    this.#connection.textContent = error ? sentenceOf(error) : "";
    // A server that was restarted has another token.
    if (!error || (error instanceof ApiError && error.status === 403)) this.sessionPoll.now();
  }
}

/** How often to ask for a newer session (ms): where no model is loaded, one may be on its way. @param {Session} session */
function sessionEvery({ host }) {
  return host.model?.name ? SESSION_EVERY : RUNS_EVERY;
}

/** Loads the page's style sheet, once. @param {string} href @returns {Promise<unknown>} */
function loadStyle(href) {
  if (document.querySelector(`link[href="${href}"]`)) return Promise.resolve();
  return new Promise((resolve) => {
    const link = el("link", { rel: "stylesheet", href, onload: resolve, onerror: resolve });
    document.head.append(link);
  });
}
