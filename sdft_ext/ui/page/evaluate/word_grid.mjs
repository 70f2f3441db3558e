// Every trained word, drawn with the trigger and without it: rated, they show what is biased.

import { part, sentenceOf } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";
import { ratePicture } from "../shared/rate_dialog.mjs";
import { givenKind, pictureAddress } from "../shared/ratings.mjs";
import { active } from "../shared/run_widgets.mjs";

/** @import { App, RunDetail } from "../types.d.ts" */
/** @import { Ratings, WordGrid, WordPicture } from "./types.d.ts" */

const HELP = "Draws each word of the captions once with the trigger and once without it, with the same seed, and shows them to be rated. Where the trigger changes the colour, the place or the pose that a word asks for, or a word alone shows the concept, the dataset is biased.";

/** How the message of a run begins whose words are being drawn. */
const DRAWN = "The trained words";

export class WordGridSection {
  #app;
  #changed;
  #draw = button("Draw every trained word", () => this.#start(), { data: { action: "draw-words" } });
  #stop = button("Stop", () => this.#end(), { kind: "small", hidden: true, data: { action: "stop-words" } });
  #state = el("p.help", { role: "status" });
  #grid = el("div.word-grid");
  /** @type {RunDetail | null} */
  #detail = null;
  /** Whether the pictures are being drawn, by the list of runs. */
  #drawing = false;

  /** @param {App} app @param {() => unknown} changed called when a picture was rated here */
  constructor(app, changed) {
    this.#app = app;
    this.#changed = changed;
    this.node = el(
      "section.card",
      { "aria-label": "Trained words", data: { role: "words" } },
      el("div.row.wrap", {}, el("h2.title", {}, "Trained words"), el("span.spring"), this.#stop, this.#draw),
      el("p.help", {}, HELP),
      this.#state,
      this.#grid,
    );
    app.whenRuns(this.node, () => this.#follow());
  }

  /** @param {RunDetail} detail */
  async show(detail) {
    this.#detail = detail;
    this.#follow();
    await this.#load();
  }

  async #load() {
    const detail = this.#detail;
    if (!detail) return;
    try {
      const route = `runs/${part(detail.id)}`;
      const [words, ratings] = await Promise.all([
        /** @type {Promise<WordGrid>} */ (this.#app.api.get(`${route}/words`)),
        /** @type {Promise<Ratings>} */ (this.#app.api.get(`${route}/ratings`)),
      ]);
      if (detail !== this.#detail) return;
      fill(this.#grid, words.words.length > 0 && this.#table(detail, words, ratings));
    } catch (error) {
      if (detail === this.#detail) fill(this.#grid, el("p.problem", { role: "alert" }, sentenceOf(error)));
    }
  }

  /** Follows the list of runs: shows how far the pictures are, and the pictures when they are there. */
  #follow() {
    const run = this.#app.runs.runs.find(({ id }) => id === this.#detail?.id);
    const busy = run !== undefined && (active(run) || run.state === "waiting");
    const ended = this.#drawing && !busy;
    this.#drawing = busy;
    this.#draw.disabled = busy;
    this.#stop.hidden = !(run?.state === "drawing" && run.message.startsWith(DRAWN));
    this.#state.textContent = busy && run ? run.message || (run.state === "waiting" ? "In the queue." : "The run hasn't ended yet.") : ended ? (run?.message ?? "") : this.#state.textContent;
    this.#state.hidden = !this.#state.textContent;
    if (ended) this.#load();
  }

  #start() {
    return this.#app.attempt(async () => {
      const { id, saves } = /** @type {RunDetail} */ (this.#detail);
      /** @type {Ratings} */
      const { recommended } = await this.#app.api.get(`runs/${part(id)}/ratings`);
      const save = saves.some(({ step }) => step === recommended) ? recommended : null;
      await this.#app.api.post(`runs/${part(id)}/words`, { save });
      this.#state.textContent = "";
      await this.#app.refresh();
    }, this.#draw);
  }

  #end() {
    return this.#app.attempt(async () => {
      await this.#app.api.post(`runs/${part(this.#detail?.id ?? "")}/stop`);
      await this.#app.refresh();
    }, this.#stop);
  }

  /** @param {RunDetail} detail @param {WordGrid} grid @param {Ratings} ratings */
  #table(detail, { step, words, pictures }, ratings) {
    const cell = (/** @type {number} */ word, /** @type {boolean} */ trigger) => {
      const one = pictures.find((picture) => picture.word === word && picture.trigger === trigger);
      return el("td", {}, one?.drawn ? this.#picture(detail, step ?? 0, one, words[word].word, ratings) : el("span.quiet", {}, "not drawn yet"));
    };
    const heads = ["Word", "With the trigger", "Without it"].map((name) => el("th", { scope: "col" }, name));
    const rows = words.map(({ word, count: captions }, place) =>
      el("tr", { data: { word } }, el("th", { scope: "row" }, word, el("p.help", {}, count(captions, "caption", "captions"))), cell(place, true), cell(place, false)),
    );
    return el(
      "div.stack.tight",
      {},
      el("p.help", {}, `Drawn with the save of step ${step}.`),
      el("div.table-box", { tabIndex: 0, role: "region", "aria-label": "Trained words" }, el("table.table.words", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows))),
    );
  }

  /** @param {RunDetail} detail @param {number} step @param {WordPicture} one @param {string} word @param {Ratings} ratings */
  #picture(detail, step, { number, prompt }, word, ratings) {
    const place = { set: /** @type {const} */ ("words"), number, step };
    const given = givenKind(ratings, place);
    const rate = async () => {
      if (!(await ratePicture(this.#app, detail.id, place, { title: prompt, words: [word] }))) return;
      this.#load();
      this.#changed();
    };
    const image = el("img.control.pixels", { src: this.#app.api.url(pictureAddress(part(detail.id), place)), alt: "", loading: "lazy" });
    return el(
      "div.row",
      {},
      el("button.save-picture", { type: "button", title: prompt, "aria-label": `Rate ${prompt}`, onclick: rate, data: { action: "rate-picture" } }, image),
      given && el("span.badge", {}, given.label),
    );
  }
}
