// Prepares a folder's pictures: what would be done is shown on each picture before it is done; originals stay.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, debounced, el, fill, keyed } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";
import { paintMask } from "./mask.mjs";
import { PreparationOptions } from "./options.mjs";
import { outputField } from "./output_field.mjs";
import { pictureCard } from "./picture_card.mjs";
import { PreparationProgress } from "./progress.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { Crop, Plan, PlannedPicture } from "./types.d.ts" */

/** Pictures on a page. */
const PAGE = 24;
/** Milliseconds without another change until the plan is asked for again. */
const PAUSE = 250;

export class Preparation {
  #app;
  #folder;
  #options;
  #out;
  #progress;
  #fold = el("details.fold.preparation", { data: { fold: "preparation" } });
  #notes = el("div.stack.tight", { "aria-live": "polite", data: { role: "preparation-notes" } });
  #grid = el("div.preparation-grid", { data: { role: "preparation-grid" } });
  #pages = el("div.row.wrap", { hidden: true });
  #facts = el("p", { role: "status", data: { role: "preparation-facts" } });
  #start = button("Prepare", () => this.#progress.begin(this.#start), { kind: "primary", disabled: true, data: { action: "prepare" } });
  /** The first picture of the page. */
  #at = 0;
  /** @type {AbortController | null} */
  #request = null;
  /** @type {Plan | null} */
  #plan = null;
  /** Asks for the plan again after a pause. */
  later = debounced(() => this.look(), PAUSE);

  /**
   * `folder()` names the folder of the originals.
   * @param {App} app
   * @param {() => string} folder
   */
  constructor(app, folder) {
    this.#app = app;
    this.#folder = folder;
    this.#options = new PreparationOptions(app, () => this.#fromStart());
    this.#out = outputField(app, () => this.#fromStart());
    this.#progress = new PreparationProgress(app, {
      request: () => this.#body(),
      visible: () => app.visible && this.#fold.open && this.#fold.offsetParent !== null,
      changed: () => this.#enable(),
      ended: () => this.look(),
      use: (out) => this.#use(out),
    });
    this.#fold.append(el("summary", {}, "Prepare pictures"), this.#content());
    this.#fold.addEventListener("toggle", () => {
      if (!this.#fold.open) return;
      this.look();
      this.#progress.look();
    });
    this.node = el("section.card", { "aria-label": "Prepare pictures", data: { section: "preparation" } }, this.#fold);
  }

  #content() {
    const setting = el("button.sentence", { type: "button", onclick: () => this.#app.showSetting("train.masked_loss") }, "masked loss");
    return el(
      "div.stack.preparation-body",
      {},
      el(
        "p.help",
        {},
        "Makes cropped, split, mirrored and converted copies in a folder of their own. The originals stay as they are. ",
        "Drag a frame to move a crop: training crops the originals there, too. Masks are painted on the originals, and training uses them with ",
        setting,
        ".",
      ),
      this.#options.node,
      this.#out.node,
      this.#notes,
      this.#grid,
      this.#pages,
      el("div.row.wrap", {}, this.#facts, el("span.spring"), this.#progress.cancelButton, this.#start),
      this.#progress.nodes,
    );
  }

  open() {
    this.#fold.open = true;
  }

  #body(extra = {}) {
    return { folder: this.#folder(), out: this.#out.value, options: this.#options.values, recipe: this.#app.draft.nested(), ...extra };
  }

  #fromStart() {
    this.#at = 0;
    this.later();
  }

  #enable() {
    this.#start.disabled = this.#progress.working || !this.#plan || Boolean(this.#plan.problem);
  }

  /** Asks what would be done, and shows it. */
  async look() {
    if (!this.#fold.open || !this.#app.visible || this.#fold.offsetParent === null) return;
    if (!this.#folder()) return this.#showNothing();
    this.#request?.abort();
    const { signal } = (this.#request = new AbortController());
    try {
      /** @type {Plan} */
      const plan = await this.#app.api.post("preparation/plan", this.#body({ start: this.#at, count: PAGE }), signal);
      this.#plan = plan;
      if (this.#at > 0 && !plan.items.length) return this.#fromStart(); // pictures have gone meanwhile
      this.#show(plan);
    } catch (error) {
      if (aborted(error)) return;
      this.#plan = null;
      fill(this.#notes, el("p.problem", { role: "alert" }, sentenceOf(error)));
      fill(this.#facts);
      this.#enable();
    }
  }

  #showNothing() {
    this.#plan = null;
    fill(this.#notes, el("p.help", {}, "Choose a folder of instance pictures above."));
    fill(this.#facts);
    this.#showPictures([]);
    this.#pages.hidden = true;
    this.#enable();
  }

  /** @param {Plan} plan */
  #show(plan) {
    this.#out.suggest(plan.out);
    fill(
      this.#notes,
      plan.notes.map((text, number) => el(number === 0 && plan.undersized.length ? "p.advice" : "p.help", {}, text)),
      plan.problem && el("p.problem", { role: "alert" }, plan.problem),
    );
    this.#showPictures(plan.items);
    this.#facts.textContent = `${count(plan.pictures, "picture", "pictures")} → ${count(plan.files, "file", "files")}`;
    this.#enable();
    this.#drawPages(plan);
  }

  /** @param {PlannedPicture[]} items */
  #showPictures(items) {
    const folder = this.#folder();
    keyed(
      this.#grid,
      items,
      ({ name }) => name,
      (item) => pictureCard(this.#app, item, { move: (crop) => this.#move(folder, item.name, crop), paint: () => this.#paint(item.name) }),
    );
  }

  /** @param {Plan} plan */
  #drawPages({ pictures }) {
    const last = Math.max(Math.ceil(pictures / PAGE) - 1, 0);
    const now = this.#at / PAGE;
    /** @param {number} page */
    const go = (page) => {
      this.#at = page * PAGE;
      this.look();
    };
    this.#pages.hidden = last === 0;
    fill(
      this.#pages,
      button("← Previous", () => go(now - 1), { kind: "small", disabled: now === 0, data: { action: "preparation-before" } }),
      el("span.quiet", {}, `${this.#at + 1}–${Math.min(this.#at + PAGE, pictures)} of ${thousands(pictures)}`),
      button("Next →", () => go(now + 1), { kind: "small", disabled: now === last, data: { action: "preparation-next" } }),
    );
  }

  /**
   * @param {string} folder
   * @param {string} name
   * @param {Crop | null} crop
   */
  async #move(folder, name, crop) {
    await this.#app.attempt(() => this.#app.api.post("preparation/crop", { folder, name, crop }));
    this.later();
  }

  /** @param {string} name */
  async #paint(name) {
    if (await paintMask(this.#app, this.#folder(), name)) this.look();
  }

  /**
   * Returns what makes the results the concept's pictures; null where they are already, or no concept has this folder.
   * @param {string} out
   */
  #use(out) {
    const { draft } = this.#app;
    const folder = this.#folder();
    const paths = Array.from({ length: draft.concepts }, (_, number) => `dataset.concepts.${number}.instance`);
    const path = paths.find((one) => String(draft.get(one)).trim() === folder);
    return path !== undefined && out !== folder ? () => draft.set(path, out) : null;
  }
}
