// The Monitor panel: one run as it is on the server's disk. A reload of the page loses nothing.

import { part } from "../shared/api.mjs";
import { lossChart } from "./chart.mjs";
import { controlsHistory } from "./control_pictures.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { duration, megabytes, short } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { queueList } from "./queue.mjs";
import { active, badge, progressBar, resumable, runMenu, wholeModel } from "../shared/run_widgets.mjs";

export function monitorPanel(app) {
  const menu = runMenu(app, "Run", () => true, (id) => choose(id));
  const state = el("span");
  const bar = progressBar();
  const facts = el("p.progress-facts", { data: { role: "facts" } });
  const message = el("p.notice", { role: "status", hidden: true });
  const buttons = el("div.row.wrap");
  const chart = lossChart();
  const history = controlsHistory(app);
  const events = el("ol.events");
  const verdict = el("div.stack.tight");
  const grid = el("img.grid-picture", { alt: "Saves and control prompts as a grid", loading: "lazy" });
  const gridCard = el("details.card.fold", { hidden: true }, el("summary", {}, "Grid of saves"), grid);
  const about = el(
    "div.monitor",
    { hidden: true },
    el("section.card", { "aria-label": "Progress" }, el("div.row.wrap", {}, menu.node, state, el("span.spring"), buttons), bar.node, facts, message),
    el("section.card", { "aria-label": "Loss" }, el("h2.title", {}, "Loss"), chart.node, verdict),
    el("section.card", { "aria-label": "Control pictures" }, el("h2.title", {}, "Control pictures"), history.node),
    gridCard,
    el("details.card.fold", {}, el("summary", {}, "Events"), events),
  );
  const none = el("div.card.empty", {}, el("p", {}, "No run yet."), button("Prepare one", () => app.show("train")));
  const queue = el("section.card", { "aria-label": "Queue" }, el("h2.title", {}, "Queue"), queueList(app));
  const node = el("div.stack", {}, none, about, queue);

  let run = null;
  let next = 0;
  let version = null;
  let detail = null;
  let status = null;
  let last = {};
  let pinned = false;

  const poll = new Poll({
    ask: look,
    every: 1000,
    visible: () => app.visible && !node.parentElement?.hidden && run !== null,
    over: () => app.over,
    trouble: (error) => {
      if (error && error.status !== 404) tell(error.message, "bad");
    },
  }).start();

  /** Shows a run; `byUser`: and stays with it when another one starts. */
  function choose(id, byUser = true) {
    pinned = byUser;
    if (id === run) return;
    run = id;
    next = 0;
    version = null;
    detail = status = null;
    last = {};
    chart.clear();
    fill(events);
    fill(verdict);
    fill(buttons);
    gridCard.hidden = true;
    facts.textContent = "";
    message.hidden = true;
    history.show(run, null);
    follow();
    poll.now();
  }

  async function look() {
    const id = run;
    const found = await app.api.get(`runs/${part(id)}/status`, { since: next });
    if (id !== run) return;
    // A run that was resumed has written its log anew: read it from its start.
    if (version !== null && found.log !== version) {
      chart.clear();
      fill(events);
      next = 0;
      version = null;
      return look();
    }
    version = found.log;
    next = found.next;
    chart.add(found.lines);
    for (const line of found.lines) {
      if (line.event) event(line);
      else if ("pictures_per_second" in line) last = line;
    }
    const before = status?.state;
    status = found.status;
    // A run that has ended changes only when somebody resumes it.
    poll.every = active(status) || status.state === "waiting" ? 1000 : 5000;
    if (!detail || before !== status.state || found.lines.some((line) => line.event === "save" || line.event === "controls")) {
      const whole = await app.api.get(`runs/${part(id)}`);
      if (id !== run) return;
      detail = whole;
      history.show(run, detail.controls);
      judged();
      if (before && before !== status.state) app.refresh();
    }
    show();
    if (found.more) return look();
  }

  function show() {
    const { step, total, seconds_left: left } = status;
    fill(state, badge(status.state));
    bar.set(step, total, status.state);
    const words = [];
    // While it prepares, pictures are counted.
    if (total) words.push(`${status.state === "preparing" ? "Picture" : "Step"} ${step} of ${total}`);
    if (status.state === "training" && left) words.push(`${duration(left)} left`);
    if (last.pictures_per_second) words.push(`${short(last.pictures_per_second)} pictures/s`);
    if (last.memory_mb) words.push(megabytes(last.memory_mb));
    if (last.smoothed !== undefined) words.push(`loss ${short(Number(last.smoothed))}`);
    facts.textContent = words.join(" · ");
    tell(status.message, status.state === "failed" ? "bad" : "plain");
    chart.draw();
    actions();
  }

  function tell(text, kind) {
    message.hidden = !text;
    message.textContent = text ?? "";
    message.className = `sdft-notice sdft-${kind}`;
  }

  /** The buttons that make sense now. */
  function actions() {
    const wanted = [];
    const add = (action, label, options = {}) => wanted.push([action, label, options]);
    // No step comes any more: nothing can be asked of it.
    const drawing = status.state === "drawing";
    if (active(status) && !drawing) {
      if (status.state === "paused") add("resume", "Resume", { kind: "primary" });
      else add("pause", "Pause");
      add("save", "Save now", { done: "A save is written after this step." });
      add("sample", "Sample now", { done: "Control pictures are drawn after this step." });
      // A whole model is no part of a prompt: it is saved, and chosen as the checkpoint.
      if (app.can("txt2img") && detail && !wholeModel(app.schema, detail.recipe.method)) add("try", "Try now", { act: tryNow });
      add("stop", "Stop", { kind: "danger", done: "The run stops after this step, with a save; Resume goes on from there." });
    } else if (status.state === "waiting") add("stop", "Take out");
    else if (!drawing) {
      if (resumable(status)) add("resume", "Resume", { kind: "primary" });
      if (app.can("txt2img") && detail?.saves.length && wholeModel(app.schema, detail.recipe.method)) add("use", "Use in txt2img", { act: use });
      if (detail?.saves.length) add("evaluate", "Evaluate the saves", { kind: resumable(status) ? "plain" : "primary", act: () => app.evaluate(run) });
    }
    const names = wanted.map(([action]) => action).join();
    if (buttons.dataset.actions === `${run} ${names}`) return;
    buttons.dataset.actions = `${run} ${names}`;
    fill(
      buttons,
      wanted.map(([action, label, { kind = "plain", done, act }]) => {
        const one = button(label, async () => {
          if (act) return act(one);
          const worked = await app.attempt(() => app.api.post(`runs/${part(run)}/${action}`), one);
          if (worked && done) app.say(done);
          poll.now();
          app.poll.now();
        }, { kind, data: { action } });
        return one;
      }),
    );
  }

  async function use(one) {
    await app.attempt(async () => {
      const { useCheckpoint } = await import("../shared/webui.mjs");
      await useCheckpoint(app, run, detail.saves.at(-1));
    }, one);
  }

  async function tryNow(one) {
    await app.attempt(async () => {
      const { tryNow: send } = await import("../shared/webui.mjs");
      await send(app, run);
    }, one);
  }

  function event(line) {
    const { step, event: kind, file, text } = line;
    const words = { save: `Save ${file ?? ""}`, controls: "Control pictures", warning: text ?? "Warning", "turn-retried": text ?? "A step was done again" };
    events.prepend(el("li", { class: kind === "warning" ? "sdft-problem" : "" }, `Step ${step}: ${words[kind] ?? text ?? kind}`));
  }

  function judged() {
    const calm = detail.verdict === "fine";
    fill(verdict, detail.advice && el(calm ? "p.help" : "p.advice", { data: { verdict: detail.verdict } }, detail.advice));
    gridCard.hidden = !detail.grid;
    if (detail.grid) {
      const url = app.api.url(`runs/${part(run)}/grid`, { saves: detail.saves.length });
      if (grid.src !== url) grid.src = url;
    }
  }

  function follow() {
    const { runs, current } = app.runs;
    none.hidden = runs.length > 0;
    if (run && !runs.some((one) => one.id === run)) {
      run = null;
      pinned = false;
    }
    if (!pinned || !run) {
      const wanted = current ?? run ?? runs[0]?.id ?? null;
      if (wanted && wanted !== run) return choose(wanted, false);
    }
    about.hidden = run === null;
    menu.draw(run);
    // The chosen run starts or ends by itself.
    const listed = runs.find((one) => one.id === run);
    if (listed && status && listed.state !== status.state) poll.now();
  }

  app.whenRuns(node, follow);
  return {
    node,
    choose,
    shown() {
      follow();
      poll.now();
      chart.draw();
    },
  };
}
