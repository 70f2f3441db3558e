// The loss of each instance picture, before and now: which are hard, memorized or mislabelled, and the way to their captions.

import { part, sentenceOf } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { short } from "../shared/numbers.mjs";
import { thumbnail } from "../shared/thumbnails.mjs";
import { changeText, DESCENDING, FINDING_NAMES, sortedPictures } from "./picture_order.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { PictureLoss, PictureLosses } from "./types.d.ts" */
/** @import { Column } from "./picture_order.mjs" */

/** @type {[Column | "", string][]} */
const COLUMNS = [
  ["name", "Picture"],
  ["", "Caption"],
  ["before", "Before"],
  ["now", "Now"],
  ["change", "Change"],
  ["finding", "Finding"],
  ["", ""],
];
const HELP = "With the same noise and timesteps each time, so that only training changes a picture's loss. A finding is a hint: look at the picture and its caption.";
/** Columns without a place on a phone. */
const OPTIONAL = ["Caption", "Before"];

export class PictureLossTable {
  #app;
  #heads = el("tr");
  #body = el("tbody");
  #about = el("p.help", { data: { role: "pictures-about" } });
  #table = el("div.table-box", { tabIndex: 0, role: "region", "aria-label": "Losses of single pictures" }, el("table.table.picture-losses", {}, el("thead", {}, this.#heads), this.#body));
  /** @type {Column} */
  #column = "finding";
  #descending = false;
  /** @type {PictureLoss[]} */
  #pictures = [];
  /** What was asked for last. */
  #asked = "";

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.node = el("section.card", { "aria-label": "Single pictures", hidden: true, data: { role: "picture-losses" } }, el("h2.title", {}, "Single pictures"), this.#about, this.#table);
  }

  /**
   * Shows a run's pictures. After a failure, the sentence stands in the table's place.
   * @param {string} run
   */
  async show(run) {
    this.#asked = run;
    try {
      /** @type {PictureLosses} */
      const found = await this.#app.api.get(`runs/${part(run)}/pictures`);
      if (run !== this.#asked) return;
      this.#pictures = found.pictures;
      this.#about.textContent = [this.#app.api.inWords(found.text), found.pictures.length && spanText(found), found.pictures.length && HELP].filter(Boolean).join(" ");
      this.#table.hidden = !found.pictures.length;
      this.#draw();
    } catch (error) {
      if (run !== this.#asked) return;
      this.#about.textContent = sentenceOf(error);
      this.#table.hidden = true;
    }
    this.node.hidden = false;
  }

  #draw() {
    fill(this.#heads, COLUMNS.map(([column, label]) => this.#head(column, label)));
    fill(this.#body, sortedPictures(this.#pictures, this.#column, this.#descending).map((one) => this.#row(one)));
  }

  /** @param {Column | ""} column @param {string} label */
  #head(column, label) {
    const tag = OPTIONAL.includes(label) ? "th.optional" : "th";
    if (!column) return el(tag, { scope: "col" }, label || el("span.spoken", {}, "Actions"));
    const sorted = this.#column === column;
    const sort = () => {
      this.#descending = sorted ? !this.#descending : DESCENDING.includes(column);
      this.#column = column;
      this.#draw();
      /** @type {HTMLElement | null} */ (this.#heads.querySelector(`[data-sort=${column}]`))?.focus();
    };
    const order = this.#descending ? "descending" : "ascending";
    return el(
      tag,
      { scope: "col", "aria-sort": sorted ? order : "none" },
      el("button.sort", { type: "button", onclick: sort, data: { sort: column } }, label, sorted ? (this.#descending ? " ↓" : " ↑") : ""),
    );
  }

  /** @param {PictureLoss} one */
  #row(one) {
    const { name, caption, before, now, change, finding, text, held_out: heldOut } = one;
    const edit = () => this.#app.showCaptions(one.folder, { text: name });
    return el(
      "tr",
      { data: { finding, picture: name } },
      el("td", {}, el("div.row", {}, one.picture && thumbnail(this.#app, { picture: one.picture, text: name }), el("span.save-name", {}, name, heldOut && el("span.badge", { title: "Kept out of training" }, "Held out")))),
      el("td.optional.quiet", {}, caption || "(no caption)"),
      el("td.optional", {}, short(before)),
      el("td", {}, short(now)),
      el("td", {}, changeText(change)),
      el("td", {}, finding && el("span.badge", { data: { role: "finding" } }, FINDING_NAMES[finding]), text && el("p.help", {}, text)),
      el("td", {}, button("Edit caption", edit, { kind: "small", "aria-label": `Edit caption of ${name}`, data: { action: "edit-caption" } })),
    );
  }
}

/** @param {PictureLosses} found */
function spanText({ before, now }) {
  return before === now ? `Loss at step ${before}.` : `Before: at step ${before}. Now: at step ${now}.`;
}
