// The Fine-tune tab: asks the server what there is, and shows its panels.

import { Api } from "./shared/api.mjs";
import { captionsPanel } from "./captions/panel.mjs";
import { datasetPanel } from "./dataset/panel.mjs";
import { Draft } from "./shared/draft.mjs";
import { button, el, fill } from "./shared/dom.mjs";
import { evaluatePanel } from "./evaluate/panel.mjs";
import { guidePanel } from "./guide/panel.mjs";
import { monitorPanel } from "./monitor/panel.mjs";
import { megabytes } from "./shared/numbers.mjs";
import { Poll } from "./shared/poll.mjs";
import { runsPanel } from "./runs/panel.mjs";
import { tabs } from "./shared/tabs.mjs";
import { toolsPanel } from "./tools/panel.mjs";
import { trainPanel } from "./train/panel.mjs";

/** Draws the page into an element. Tries until the server answers. */
export async function mount(root) {
  root.classList.add("sdft");
  // The WebUI's own hot keys press buttons that this tab doesn't have.
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.altKey))) event.stopPropagation();
  });
  const api = new Api();
  await styled(new URL("sdft.css", import.meta.url).href);
  fill(root, el("p.quiet.loading", { role: "status" }, "Loading …"));
  for (let wait = 1000; ; wait = Math.min(wait * 2, 30_000)) {
    try {
      const [session, schema, guide] = await Promise.all([api.get("session"), api.get("schema"), api.get("guide")]);
      api.token = session.token;
      return new App(root, api, session, schema, guide);
    } catch (error) {
      await new Promise((again) => {
        fill(root, el("div.notice.bad", { role: "alert" }, error.message, button("Try again", again)));
        setTimeout(again, wait);
      });
    }
  }
}

class App {
  /** Runs as the server lists them; panels redraw when it changes. */
  runs = { runs: [], queue: [], current: null };
  /** Whether another page has taken this one's place; and whether one should. */
  over = false;
  outdated = false;
  /** Sentences of the server about single settings, by path. */
  problems = new Map();
  #watchers = { draft: [], problems: [], runs: [], forecast: [] };

  constructor(root, api, session, schema, guide) {
    Object.assign(this, { root, api, session, schema, guide });
    this.draft = new Draft(schema);
    this.draft.listen((paths) => this.#tell("draft", paths));
    this.connection = el("div.notice.bad", { role: "status", hidden: true });
    this.message = el("div.notice", { role: "status", hidden: true });
    this.model = el("div.model");
    this.version = el("footer.version.quiet");
    this.notices = el("div", { data: { role: "notices" } });

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
    this.tabs = tabs(
      [
        ["dataset", "Dataset"],
        ["captions", "Captions"],
        ["train", "Train"],
        ["monitor", "Monitor"],
        ["runs", "Runs"],
        ["evaluate", "Evaluate"],
        ["tools", "Tools"],
        ["guide", "Guide"],
      ].map(([name, label]) => ({ name, label, node: this.panels[name].node })),
      (name) => this.panels[name].shown?.(),
      "train",
    );
    fill(
      root,
      el("header.top", {}, this.tabs.bar, this.model),
      this.notices,
      this.connection,
      this.message,
      this.tabs.body,
      this.version,
    );
    this.#showModel();
    this.tabs.restore();
    root.addEventListener("sdft-picture", (event) => {
      if (this.over) return;
      this.message.hidden = true;
      if (event.detail.problem) return this.say(event.detail.problem, "bad");
      this.show("dataset");
      this.attempt(() => this.panels.dataset.receive(event.detail));
    });

    this.poll = new Poll({
      ask: () => this.refresh(),
      every: 2000,
      visible: () => this.visible,
      trouble: (error) => this.#trouble(error),
      over: () => this.over,
    }).start();
    this.sessionPoll = new Poll({ ask: () => this.#refreshSession(), every: 15_000, visible: () => this.visible, over: () => this.over });
    this.sessionPoll.start();
    const look = () => this.over || this.sessionPoll.now();
    root.addEventListener("sdft-options", look);
    const seen = new IntersectionObserver((entries) => {
      if (this.over) seen.disconnect();
      else if (entries.at(-1).isIntersecting) look();
    });
    seen.observe(root);
  }

  get visible() {
    return this.root.isConnected && this.root.offsetParent !== null;
  }

  can(feature) {
    return this.session.host.features.includes(feature);
  }

  /** Asks for the list of runs, and tells who shows it if it has changed. */
  async refresh() {
    const found = await this.api.get("runs");
    if (JSON.stringify(found) !== JSON.stringify(this.runs)) {
      this.runs = found;
      this.#tell("runs");
    }
  }

  /** Calls a panel's `act` when the draft changes, as long as `node` is in the page. */
  whenDraft(node, act) {
    this.#watchers.draft.push({ node, act, seen: false });
  }

  whenProblems(node, act) {
    this.#watchers.problems.push({ node, act, seen: false });
  }

  whenRuns(node, act) {
    this.#watchers.runs.push({ node, act, seen: false });
  }

  /** `act(memory)` hears each new memory forecast. */
  whenForecast(node, act) {
    this.#watchers.forecast.push({ node, act, seen: false });
  }

  tellForecast(memory) {
    this.#tell("forecast", memory);
  }

  setProblems(problems) {
    this.problems = problems;
    this.#tell("problems");
  }

  /** Does something that may fail; its sentence is shown. Returns whether it worked. */
  async attempt(act, button_ = null) {
    if (button_) button_.disabled = true;
    try {
      await act();
      return true;
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message, "bad");
      return false;
    } finally {
      if (button_?.isConnected) button_.disabled = false;
    }
  }

  /** A sentence above the panel, until it is closed or another one comes; what is returned takes it away. */
  say(text, kind = "good") {
    this.message.className = `sdft-notice sdft-${kind}`;
    this.message.setAttribute("role", kind === "bad" ? "alert" : "status");
    const said = el("span", {}, text);
    fill(
      this.message,
      said,
      button("×", () => (this.message.hidden = true), { kind: "icon", "aria-label": "Close" }),
    );
    this.message.hidden = false;
    clearTimeout(this.messageTimer);
    if (kind === "good") this.messageTimer = setTimeout(() => (this.message.hidden = true), 6000);
    return () => {
      if (said.isConnected) this.message.hidden = true;
    };
  }

  show(name) {
    this.tabs.show(name);
  }

  showGuide(id) {
    this.show("guide");
    this.panels.guide.show(id);
  }

  showSetting(path) {
    this.show("train");
    this.panels.train.show(path);
  }

  showRun(id) {
    this.panels.monitor.choose(id);
    this.show("monitor");
  }

  evaluate(id) {
    this.panels.evaluate.choose(id);
    this.show("evaluate");
  }

  /** Opens what an element lies in, brings it into view, and marks it for a moment. */
  point(node, focus = node) {
    for (let outer = node.parentElement; outer; outer = outer.parentElement) if (outer.tagName === "DETAILS") outer.open = true;
    requestAnimationFrame(() => {
      node.scrollIntoView({ block: "center" });
      focus.focus({ preventScroll: true });
      node.classList.add("sdft-pointed");
      setTimeout(() => node.classList.remove("sdft-pointed"), 1600);
    });
  }

  #tell(what, news) {
    const kept = this.#watchers[what].filter((one) => {
      one.seen ||= one.node.isConnected;
      return !one.seen || one.node.isConnected;
    });
    this.#watchers[what] = kept;
    for (const one of kept) one.act(news);
  }

  async #refreshSession() {
    await this.takeSession(await this.api.get("session"));
  }

  /** What the server says of itself and its model now. */
  async takeSession(session) {
    if (this.over) return;
    if (session.host.model?.path !== this.session.host.model?.path) this.outdated = true;
    this.session = session;
    this.api.token = session.token;
    this.#showModel();
    // Another model has other presets. What the user has set is kept, and nothing changes under his fingers.
    if (!this.outdated || this.root.querySelector("dialog, :is(input, textarea, select):focus")) return;
    const schema = await this.api.get("schema");
    // Whoever asked at the same time was faster.
    if (this.over) return;
    this.outdated = false;
    if (JSON.stringify(schema) === JSON.stringify(this.schema)) return;
    this.over = true;
    new App(this.root, this.api, this.session, schema, this.guide);
  }

  /** What is trained on, what memory is free, and what has to be known first. */
  #showModel() {
    const { model, memory } = this.session.host;
    this.version.textContent = `sdft ${this.session.version}`;
    fill(
      this.model,
      el("span.dot", { "aria-hidden": "true", class: `sdft-dot ${model?.trainable ? "sdft-good" : "sdft-bad"}` }),
      el("span.model-name", { title: model?.path ?? "" }, model?.name || "No model"),
      model?.family && el("span.quiet", {}, model.family),
      memory?.free_mb != null && el("span.quiet", {}, `${megabytes(memory.free_mb)} free`),
    );
    // What is told already isn't told anew: an alert is read out each time that it is put into the page.
    const notices = this.#notices();
    const told = [...this.notices.children];
    if (told.length !== notices.length || told.some((one, place) => !one.isEqualNode(notices[place]))) fill(this.notices, notices);
  }

  #notices() {
    const { missing, warnings = [], host } = this.session;
    return [
      missing &&
        el(
          "div.notice.bad",
          { role: "alert" },
          el("span", {}, `These packages are missing: ${missing.packages.join(", ")}. Install them, then restart:`),
          el("code.command", {}, missing.command),
        ),
      !missing && host.model && !host.model.trainable && host.model.why && el("div.notice.bad", { role: "alert" }, host.model.why),
      ...warnings.map((text) => el("div.notice.warn", { role: "status" }, text)),
    ].filter(Boolean);
  }

  #trouble(error) {
    this.connection.hidden = !error;
    this.connection.textContent = error?.message ?? "";
    // A server that was restarted has another token.
    if (error?.status === 403) this.sessionPoll.now();
    if (!error) this.sessionPoll.now();
  }
}

/** Loads the page's style sheet, once. */
function styled(href) {
  if (document.querySelector(`link[href="${href}"]`)) return Promise.resolve();
  return new Promise((resolve) => {
    const link = el("link", { rel: "stylesheet", href, onload: resolve, onerror: resolve });
    document.head.append(link);
  });
}
