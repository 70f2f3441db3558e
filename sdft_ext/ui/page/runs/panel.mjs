// The Runs panel: every run there is, and what can be done with it.

import { button, el, keyed } from "../shared/dom.mjs";
import { matcher } from "../shared/search.mjs";
import { compareRuns } from "./compare.mjs";
import { JudgedRuns } from "./judged.mjs";
import { runCard } from "./run_card.mjs";
import { chosenPair } from "./pair.mjs";

/** @import { App } from "../types.d.ts" */

/** @param {App} app */
export function runsPanel(app) {
  return new RunsPanel(app);
}

class RunsPanel {
  #app;
  #list = el("div.runs", { role: "list" });
  #none = el("p.quiet");
  #judged;
  #search = el("input.input.search", { type: "search", placeholder: "Search runs", "aria-label": "Search runs" });
  #compare = button("Compare two runs", () => compareRuns(this.#app, this.#pair), { data: { action: "compare" } });
  /** Ids of the runs that are marked to be compared. @type {string[]} */
  #pair = [];

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    const head = el("div.row.wrap", {}, el("h2.title", {}, "Runs"), el("span.spring"), this.#search, this.#compare);
    this.#judged = new JudgedRuns(app);
    this.node = el("div.stack", {}, el("section.card", { "aria-label": "Runs" }, head, this.#none, this.#list), this.#judged.node);
    this.#search.addEventListener("input", () => this.#draw());
    app.whenRuns(this.node, () => (this.node.offsetParent ? this.shown() : this.#draw()));
    this.#draw();
  }

  /** Shows the runs as they are now, and what they taught. */
  shown() {
    this.#draw();
    this.#judged.show();
  }

  /** Shows the runs that match the search. */
  #draw() {
    const { runs } = this.#app.runs;
    const matches = matcher(this.#search.value);
    const found = runs.filter(({ name, id, method, state }) => matches(`${name} ${id} ${method} ${state}`));
    this.#none.hidden = found.length > 0;
    this.#none.textContent = runs.length ? "No runs match your search." : "No runs yet.";
    this.#pair = this.#pair.filter((id) => runs.some((run) => run.id === id));
    keyed(
      this.#list,
      found,
      ({ id }) => id,
      (run) => runCard(this.#app, run, (on) => this.#mark(run.id, on)),
    );
    this.#drawMarks();
  }

  /**
   * @param {string} id
   * @param {boolean} on
   */
  #mark(id, on) {
    this.#pair = chosenPair(this.#pair, id, on);
    this.#drawMarks();
  }

  #drawMarks() {
    /** @type {NodeListOf<HTMLInputElement>} */
    const boxes = this.#list.querySelectorAll("input[data-compare]");
    for (const box of boxes) box.checked = this.#pair.includes(box.dataset.compare ?? "");
    const ready = this.#pair.length === 2;
    this.#compare.disabled = !ready;
    this.#compare.title = ready ? "" : "Select two runs first.";
  }
}
