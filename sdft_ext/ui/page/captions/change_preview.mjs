// What an edit would change, and the button that does it: nothing can be applied that the user hasn't been shown.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, debounced, el, fill } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";
import { changeNodes } from "./change_list.mjs";

/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { EditResponse, PreviewResponse, Say } from "./types.d.ts" */

/** Milliseconds without another change until the preview is asked for. */
const PAUSE = 250;

/**
 * @template {object} Request
 * @typedef {object} PreviewOptions
 * @property {string} name `edit` or `tagger`: the button is found by it
 * @property {string} role the preview's sentence is found by it
 * @property {() => Request | null} request what is asked for; null: nothing
 * @property {() => string} nothing says why nothing is asked for
 * @property {(request: Request, signal: AbortSignal) => Promise<PreviewResponse>} preview
 * @property {(request: Request & { preview: string }) => Promise<EditResponse>} apply does what was shown
 * @property {Say} say
 */

/** @template {object} Request */
export class ChangePreview {
  #store;
  #options;
  #summary;
  #notes = el("div.stack.tight");
  #changes = el("div.cap-changes", { tabIndex: 0, role: "region", "aria-label": "Preview of the changes" });
  #problem = el("p.problem", { role: "alert", hidden: true });
  #apply;
  /** @type {AbortController | null} */
  #request = null;
  /** The request whose outcome is shown, with its token: what can be applied. @type {(Request & { preview: string }) | null} */
  #ready = null;
  #later = debounced(() => this.update(), PAUSE);

  /**
   * @param {CaptionStore} store
   * @param {PreviewOptions<Request>} options
   */
  constructor(store, options) {
    this.#store = store;
    this.#options = options;
    this.#summary = el("p.help", { role: "status", data: { role: options.role } });
    this.#apply = button("Apply", () => this.apply(), { kind: "primary", disabled: true, data: { action: `${options.name}-apply` } });
    this.nodes = [el("div.row.wrap", {}, this.#summary, el("span.spring"), this.#apply), this.#problem, this.#notes, this.#changes];
  }

  /** Drops what is shown. */
  #drop() {
    this.#request?.abort();
    this.#ready = null;
    this.#apply.disabled = true;
  }

  /** Asks again after a pause. */
  soon() {
    this.#drop();
    this.#later();
  }

  /** Asks for what would change now. */
  async update() {
    this.#drop();
    const { signal } = (this.#request = new AbortController());
    const request = this.#options.request();
    if (!request) return this.#clear(this.#options.nothing(), "");
    try {
      const found = await this.#options.preview(request, signal);
      if (signal.aborted) return;
      // The request itself is kept, so that the server finds the outcome that it has shown.
      this.#ready = { ...request, preview: found.preview };
      this.#show(found);
    } catch (error) {
      if (!aborted(error)) this.#clear("", sentenceOf(error));
    }
  }

  /** @param {PreviewResponse} found */
  #show(found) {
    this.#problem.hidden = true;
    this.#summary.textContent = `${thousands(found.count)} of ${count(found.of, "caption", "captions")} will change.`;
    fill(
      this.#notes,
      found.notes.map((text) => el("p.advice", {}, text)),
    );
    fill(this.#changes, changeNodes(this.#store, found.shown, found.count));
    this.#apply.disabled = found.count === 0;
    this.#apply.textContent = found.count ? `Change ${count(found.count, "caption", "captions")}` : "No changes";
  }

  /**
   * @param {string} text
   * @param {string} problem
   */
  #clear(text, problem) {
    this.#summary.textContent = text;
    fill(this.#changes);
    fill(this.#notes);
    this.#problem.textContent = problem;
    this.#problem.hidden = !problem;
  }

  get canApply() {
    return !this.#apply.disabled;
  }

  async apply() {
    const ready = this.#ready;
    if (!ready) return;
    this.#apply.disabled = true;
    try {
      const found = await this.#options.apply(ready);
      this.#options.say([`${count(found.count, "caption", "captions")} changed.`, ...(found.notes ?? [])].join(" "));
    } catch (error) {
      this.#options.say(sentenceOf(error), "bad");
    }
    this.update();
  }
}
