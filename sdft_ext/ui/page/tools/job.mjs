// The tool that works on the server, or the last one: how far it is, and what came of it. A reload of the page loses nothing.

import { button, el, fill } from "../shared/dom.mjs";
import { duration } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { badge, progressBar } from "../shared/run_widgets.mjs";
import { base } from "./fields.mjs";

/** `ended(told)` is called when a tool that was seen working has ended; `open(path)` looks into what it made. */
export function jobCard(app, { ended, open }) {
  const state = el("span");
  const title = el("span.tool-name");
  const stop = button("Stop", () => app.attempt(async () => {
    await app.api.post("tools/stop");
    await look();
  }, stop), { kind: "small", hidden: true, data: { action: "tool-stop" } });
  const into = button("Look into it", () => open(last.target), { kind: "small", hidden: true, data: { action: "tool-into" } });
  const use = button("Use in txt2img", () => app.attempt(async () => {
    const { loadCheckpoint, showTab } = await import("../shared/webui.mjs");
    if (await loadCheckpoint(app, base(last.target), () => app.api.post("tools/checkpoint"))) showTab("tab_txt2img");
  }, use), { kind: "small", hidden: true, data: { action: "tool-use" } });
  const bar = progressBar();
  const facts = el("p.progress-facts", { data: { role: "tool-facts" } });
  const message = el("p", { role: "status", data: { role: "tool-message" } });
  const node = el("section.card", { "aria-label": "Result", hidden: true, data: { section: "tool-job" } }, el("div.row.wrap", {}, state, title, el("span.spring"), use, into, stop), bar.node, facts, message);
  let last = null;

  async function look() {
    const told = await app.api.get("tools/job");
    const before = last;
    last = told;
    const working = told.state === "working";
    poll.every = working ? 500 : 5000;
    node.hidden = told.state === "idle";
    node.dataset.state = told.state;
    fill(state, badge(told.state));
    title.textContent = `${told.label}: ${base(told.target)}`;
    stop.hidden = !working;
    use.hidden = told.state !== "finished" || told.makes !== "checkpoint" || !app.can("txt2img");
    into.hidden = told.state !== "finished" || !/\.safetensors$/.test(told.target);
    bar.node.hidden = facts.hidden = !working;
    bar.set(told.done, told.total, working ? "training" : "");
    facts.textContent = [told.total ? `${told.done.toLocaleString("en")} of ${told.total.toLocaleString("en")} parts` : "Reading the files", told.seconds_left >= 1 ? `${duration(told.seconds_left)} left` : ""].filter(Boolean).join(" · ");
    message.textContent = told.message;
    message.className = told.state === "failed" ? "sdft-problem" : "sdft-tool-told";
    const sameJob = before?.began === told.began;
    // A short one may have ended before it was ever seen working.
    if (!working && before && (sameJob ? before.state === "working" : told.state !== "idle")) await ended(told);
    return told;
  }

  const poll = new Poll({ ask: look, every: 5000, visible: () => app.visible && node.parentElement?.offsetParent != null, over: () => app.over });
  let started = false;
  return {
    node,
    async now() {
      const told = await look();
      if (!started) {
        started = true;
        poll.start();
      } else poll.now();
      return told;
    },
  };
}
