// What a run's ratings come to: the user's and those that the numbers propose, with the ways to act on each.

import { part, sentenceOf } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";
import { ratePicture } from "../shared/rate_dialog.mjs";
import { adviceNode } from "../shared/rating_leads.mjs";
import { pictureAddress, promptWords, ratingGroups } from "../shared/ratings.mjs";

/** @import { App, RunDetail } from "../types.d.ts" */
/** @import { Ratings } from "./types.d.ts" */
/** @import { PicturePlace, RatingGroup } from "../shared/ratings.mjs" */

/** As many pictures of a rating are shown. */
const SHOWN = 12;
const NONE = "Nothing is rated yet. Press Rate on a control picture, and say what is wrong with it: each rating leads to what to change.";

export class RatingsSection {
  #app;
  #body = el("div.stack");
  #changed;
  /** What was asked for last. */
  #asked = "";

  /** @param {App} app @param {() => unknown} changed called when a picture was rated here */
  constructor(app, changed) {
    this.#app = app;
    this.#changed = changed;
    this.node = el("section.card", { "aria-label": "Ratings", hidden: true, data: { role: "ratings" } }, el("h2.title", {}, "What to change"), this.#body);
  }

  /**
   * Shows a run's ratings, and the numbers' proposals for its recommended save, or its last one.
   * @param {RunDetail} detail
   */
  async show(detail) {
    this.#asked = detail.id;
    this.node.hidden = detail.controls.steps.length === 0;
    if (this.node.hidden) return;
    try {
      /** @type {Ratings} */
      const ratings = await this.#app.api.get(`runs/${part(detail.id)}/ratings`);
      if (detail.id !== this.#asked) return;
      const step = ratings.recommended ?? detail.saves.at(-1)?.step;
      const groups = ratingGroups(ratings, step);
      fill(this.#body, otherPictures(this.#app, detail, ratings), groups.length ? groups.map((group) => this.#group(detail, ratings, group)) : el("p.help", {}, NONE));
    } catch (error) {
      if (detail.id === this.#asked) fill(this.#body, el("p.problem", { role: "alert" }, sentenceOf(error)));
    }
  }

  /** @param {RunDetail} detail @param {Ratings} ratings @param {RatingGroup} group */
  #group(detail, ratings, { kind, proposed, pictures }) {
    const titles = pictures.map((place) => titleOf(detail, place));
    const words = [...new Set(titles.flatMap(promptWords))];
    const more = pictures.length - SHOWN;
    const text = `${kind.label} (${count(pictures.length, "picture", "pictures")}${proposed ? ", proposed by the numbers" : ""})`;
    return el(
      "div.stack.tight.rating-group",
      { data: { rating: kind.name, proposed: String(proposed) } },
      el("h3.subtitle", {}, text),
      el("div.row.wrap", {}, pictures.slice(0, SHOWN).map((place, number) => this.#picture(detail, place, titles[number])), more > 0 && el("span.help", {}, `+ ${more}`)),
      adviceNode(this.#app, kind, { run: detail.id, ratings, step: Math.max(...pictures.map(({ step }) => step)), words }),
    );
  }

  /** @param {RunDetail} detail @param {PicturePlace} place @param {string} title */
  #picture(detail, place, title) {
    const rate = async () => {
      if (await ratePicture(this.#app, detail.id, place, { title })) this.#changed();
    };
    const text = `${title || "(empty prompt)"}, step ${place.step}`;
    const image = el("img.control.pixels", { src: this.#app.api.url(pictureAddress(part(detail.id), place)), alt: "", loading: "lazy" });
    return el("button.save-picture", { type: "button", title: text, "aria-label": `Rate ${text}`, onclick: rate, data: { action: "rate-picture" } }, image);
  }
}

/** Warns where the other panels hold another dataset than the run's. @param {App} app @param {RunDetail} detail @param {Ratings} ratings */
function otherPictures(app, detail, { folders }) {
  if (folders.includes(app.draft.text("dataset.concepts.0.instance"))) return null;
  const load = () => {
    app.draft.load(detail.recipe);
    app.say(`Recipe of ${detail.name} loaded.`);
    notice.remove();
  };
  const text = "The Dataset and Train panels hold other pictures than this run's.";
  const notice = el("div.notice.plain", { role: "status" }, el("span", {}, text), button("Load this run's recipe", load, { kind: "small", data: { action: "load-rated-recipe" } }));
  return notice;
}

/** @param {RunDetail} detail @param {PicturePlace} place */
function titleOf({ controls }, { set, number }) {
  if (set === "words") return "a trained word";
  return controls.prompts.find((one) => one.set === set && one.number === number)?.prompt ?? "";
}
