// Runs compared by what they taught: a table of the saves that their verdicts recommend, and learned against bleeding.

import { sentenceOf } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { duration, plain } from "../shared/numbers.mjs";
import { comparedOrder, pointsOf, shareText, stacked } from "./judged_order.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { ComparedRun } from "../evaluate/types.d.ts" */

const HEADS = ["", "Run", "Verdict", "Learned", "Bleeding", "Copied", "Save", "Method", "Rate", "Steps", "Time"];
/** Columns without a place on a phone. */
const OPTIONAL = ["Verdict", "Copied", "Method", "Rate", "Steps", "Time"];
const HELP =
  "The numbers of the save that each run's verdict recommends. The best is the one with the largest learned less bleeding less copied, among runs of the same pictures and base model. With few control pictures a small difference may be chance.";

export class JudgedRuns {
  #app;
  #about = el("p.help", { data: { role: "judged-about" } });
  #chart = el("div");
  #table = el("div.table-box", { tabIndex: 0, role: "region", "aria-label": "What runs taught" });
  /** What was shown last, as JSON. */
  #drawn = "";

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.node = el("section.card", { "aria-label": "Comparison", hidden: true, data: { role: "judged-runs" } }, el("h2.title", {}, "What they taught"), this.#about, this.#chart, this.#table);
  }

  /** Asks for the runs' numbers, and shows them. */
  async show() {
    this.node.hidden = this.#app.runs.runs.length === 0;
    if (this.node.hidden) return;
    try {
      /** @type {{ runs: ComparedRun[] }} */
      const { runs } = await this.#app.api.get("compare/judged");
      const text = JSON.stringify(runs);
      if (text === this.#drawn) return;
      this.#drawn = text;
      this.#draw(comparedOrder(runs));
    } catch (error) {
      this.#drawn = "";
      this.#about.textContent = sentenceOf(error);
      fill(this.#chart);
      fill(this.#table);
    }
  }

  /** @param {ComparedRun[]} runs */
  #draw(runs) {
    const judged = runs.some(({ word }) => word);
    this.#about.textContent = judged ? HELP : "No run has a verdict yet.";
    fill(this.#chart, judged && chart(runs));
    const heads = HEADS.map((name) => el(OPTIONAL.includes(name) ? "th.optional" : "th", { scope: "col" }, name || el("span.spoken", {}, "Number")));
    fill(this.#table, el("table.table.judged-runs", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, runs.map((run, place) => this.#row(run, place + 1)))));
  }

  /** @param {ComparedRun} run @param {number} number */
  #row(run, number) {
    const { id, name, concept, word, best, save } = run;
    const open = button(name, () => this.#app.evaluate(id), { kind: "link", "aria-label": `Evaluate ${name}`, data: { action: "evaluate-judged" } });
    const mark = best && el("span.badge", { title: "Largest learned less bleeding less copied, of the runs of these pictures", data: { role: "best" } }, "Best");
    const about = el("td.save-name", {}, el("div.row.wrap", {}, save === null ? el("span", {}, name) : open, mark), concept && el("p.help", {}, concept));
    if (!word) return el("tr", { data: { run: id } }, el("td.quiet", {}, String(number)), about, el("td.quiet", { colspan: HEADS.length - 2, data: { role: "why" } }, run.why));
    return el(
      "tr",
      { data: { run: id } },
      el("td.quiet", {}, String(number)),
      about,
      el("td.optional", { title: run.text }, word),
      el("td", {}, shareText(run.learned)),
      el("td", {}, shareText(run.bleeding)),
      el("td.optional", {}, shareText(run.copied)),
      el("td", {}, save === null ? "–" : `step ${save}`),
      el("td.optional", {}, run.method),
      el("td.optional", {}, plain(run.rate)),
      el("td.optional", {}, String(run.steps)),
      el("td.optional", {}, run.seconds ? duration(run.seconds) : "–"),
    );
  }
}

/** Draws learned against bleeding, a point for each run's recommended save. @param {ComparedRun[]} runs in the table's order */
function chart(runs) {
  const points = pointsOf(runs);
  if (!points.length) return null;
  const marks = stacked(points).map((same) => {
    const [{ x, y }] = same;
    const style = `left: ${100 * x}%; bottom: ${100 * y}%`;
    const title = same.map(({ label }) => label).join("\n");
    return el(same.some(({ best }) => best) ? "div.scatter-point.best" : "div.scatter-point", { style, title }, el("span", {}, same.map(({ number }) => number).join(", ")));
  });
  const label = `Learned against bleeding. ${points.map((point) => point.label).join("; ")}`;
  return el(
    "figure.scatter",
    { role: "img", "aria-label": label, data: { role: "scatter" } },
    el("span.scatter-y.quiet", {}, "Learned"),
    el("div.scatter-area", {}, marks),
    el("div.row.scatter-x.quiet", {}, el("span", {}, "0 %"), el("span.spring"), el("span", {}, "Bleeding"), el("span.spring"), el("span", {}, "100 %")),
  );
}
