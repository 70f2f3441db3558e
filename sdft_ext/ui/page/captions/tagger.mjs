// Automatic captions: a tagger looks at pictures, the new captions are previewed, and applied as one edit.

import { ApiError, part, sentenceOf } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count, duration, thousands } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { progressBar } from "../shared/run_widgets.mjs";
import { ChangePreview } from "./change_preview.mjs";
import { TaggerOptions } from "./tagger_options.mjs";
import { TargetChoice } from "./target_choice.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { EditResponse, Say, TaggerInformation, TaggersResponse, TaggingStatus } from "./types.d.ts" */

/** As many changed captions are shown. */
const SHOWN = 20;
/** Milliseconds between two questions about a tagger's progress. */
const EVERY = 1000;
/** @type {TaggingStatus} */
const NOTHING = { done: 0, total: 0, state: "" };

export class TaggerPanel {
  #app;
  #store;
  #target;
  /** @type {ChangePreview<TaggerOptions["values"]>} */
  #preview;
  #options = new TaggerOptions(() => this.#preview.soon());
  #choice = el("select.input", { "aria-label": "Tagger", data: { action: "tagger" } });
  #why = el("p.advice", { hidden: true, data: { role: "tagger-why" } });
  /** Where taggers are put. */
  #where = el("p.help", { data: { role: "tagger-where" } });
  #startButton = button("Tag the pictures", () => this.#start(), { data: { action: "tagger-start" } });
  #stop = button("Stop", () => this.#end(), { kind: "small", hidden: true, data: { action: "tagger-stop" } });
  #bar = progressBar();
  #facts = el("p.help", { data: { role: "tagger-facts" } });
  #problem = el("p.problem", { role: "alert", hidden: true });
  #results = el("div.stack.tight", { hidden: true });
  #poll;
  /** @type {TaggerInformation[]} */
  #taggers = [];
  #help = "";
  /** The id of the tagging whose results are here. */
  #id = "";
  #status = NOTHING;

  /**
   * @param {App} app
   * @param {CaptionStore} store
   * @param {Say} say
   */
  constructor(app, store, say) {
    this.#app = app;
    this.#store = store;
    this.#target = new TargetChoice(store, "Pictures to tag", () => this.follow());
    this.#preview = new ChangePreview(store, {
      name: "tagger",
      role: "tagger-preview",
      request: () => (this.#results.hidden ? null : this.#options.values),
      nothing: () => "",
      preview: (request, signal) => app.api.post(`${this.#path}/preview`, { ...request, most: SHOWN }, signal),
      apply: (request) => this.#apply(request),
      say,
    });
    fill(this.#results, this.#options.node, this.#preview.nodes);
    this.#bar.node.hidden = true;
    this.#choice.addEventListener("change", () => this.follow());
    this.node = el(
      "div.cap-body",
      {},
      this.#target.node,
      this.#choice,
      this.#why,
      this.#where,
      el("div.row.wrap", {}, this.#startButton, this.#stop),
      this.#bar.node,
      this.#facts,
      this.#problem,
      this.#results,
    );
    this.#poll = new Poll({
      ask: () => this.#ask(),
      every: EVERY,
      visible: () => app.visible && this.node.offsetParent !== null,
      trouble: (error) => error && this.#fail(sentenceOf(error)),
      over: () => app.over,
    }).start();
    this.follow();
  }

  get #path() {
    return `taggers/${part(this.#id)}`;
  }

  /** Shows what can be done now. */
  follow() {
    this.#target.draw();
    const tagger = this.#taggers.find(({ id }) => id === this.#choice.value);
    this.#why.textContent = tagger ? tagger.why : this.#help && "No tagger is installed.";
    this.#why.hidden = !this.#why.textContent;
    this.#where.textContent = this.#help;
    this.#startButton.disabled = !tagger || Boolean(tagger.why) || this.#status.state === "tagging" || this.#target.ids.length === 0;
    this.#options.follow(Boolean(tagger?.sentences));
  }

  /** Asks which taggers there are: files may have been put into their folder meanwhile. */
  async shown() {
    try {
      /** @type {TaggersResponse} */
      const { taggers, help } = await this.#app.api.get("taggers");
      const before = this.#choice.value;
      this.#taggers = taggers;
      this.#help = help;
      fill(
        this.#choice,
        taggers.map(({ id, label, why }) => el("option", { value: id }, why ? `${label} – something is missing` : label)),
      );
      const first = taggers.find(({ why }) => !why) ?? taggers[0];
      this.#choice.value = taggers.some(({ id }) => id === before) ? before : (first?.id ?? "");
      this.#choice.hidden = taggers.length === 0;
      this.#fail("");
    } catch (error) {
      this.#fail(sentenceOf(error));
    }
    this.follow();
  }

  /** @param {string} sentence empty where nothing is wrong */
  #fail(sentence) {
    this.#problem.textContent = sentence;
    this.#problem.hidden = !sentence;
  }

  async #start() {
    const { folder, opened } = this.#store;
    this.#fail("");
    this.#results.hidden = true;
    try {
      /** @type {{ id: string }} */
      const { id } = await this.#app.api.post("taggers", { tagger: this.#choice.value, folder, opened, ids: this.#target.ids });
      this.#id = id;
      this.#status = { ...NOTHING, state: "tagging" };
      this.#poll.now();
    } catch (error) {
      this.#fail(sentenceOf(error));
    }
    this.follow();
  }

  async #end() {
    try {
      await this.#app.api.post(`${this.#path}/stop`);
      this.#poll.now();
    } catch (error) {
      this.#fail(sentenceOf(error));
    }
  }

  async #ask() {
    if (this.#status.state !== "tagging") return;
    try {
      this.#status = await this.#app.api.get(this.#path);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      this.#status = NOTHING; // the server was restarted
      this.#fail(error.message);
    }
    this.#showProgress();
    if (this.#status.state !== "tagging" && this.#status.done > 0) {
      this.#results.hidden = false;
      this.#preview.update();
    }
    this.follow();
  }

  #showProgress() {
    const { state, done, total, seconds_left: seconds, message = "", unreadable = [] } = this.#status;
    const tagging = state === "tagging";
    this.#bar.set(done, total, "");
    const left = seconds ? ` · ${duration(seconds)} left` : "";
    this.#facts.textContent = total ? `${thousands(done)} of ${count(total, "picture", "pictures")}${left}` : "";
    if (state === "failed") this.#fail(message);
    else if (unreadable.length) this.#fail(unreadable.slice(0, 3).join(" "));
    this.#stop.hidden = !tagging;
    this.#bar.node.hidden = !tagging;
  }

  /**
   * @param {object} request
   * @returns {Promise<EditResponse>}
   */
  async #apply(request) {
    /** @type {EditResponse} */
    const found = await this.#app.api.post(`${this.#path}/apply`, request);
    await this.#store.refresh();
    return found;
  }

  /** Begins with another folder: what was seen belongs to the former one. */
  begin() {
    this.#id = "";
    this.#status = NOTHING;
    this.#results.hidden = true;
    this.#facts.textContent = "";
    this.#bar.node.hidden = this.#stop.hidden = true;
    this.#fail("");
    this.follow();
  }
}
