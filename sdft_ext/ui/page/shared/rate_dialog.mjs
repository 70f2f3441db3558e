// Rates a picture in a window, and shows what to do about it.

import { part } from "./api.mjs";
import { dialog } from "./dialog.mjs";
import { button, el, fill } from "./dom.mjs";
import { adviceNode } from "./rating_leads.mjs";
import { givenKind, kindOf, nearestOf, pictureAddress, promptWords, proposalOf } from "./ratings.mjs";
import { thumbnail } from "./thumbnails.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { RatedPicture, Ratings } from "../evaluate/types.d.ts" */
/** @import { PicturePlace } from "./ratings.mjs" */

/** Pictures up to this side are enlarged without blur [pixels]. */
const SMALL = 128;

/**
 * Shows a picture, the ratings to choose from, and the advice for the chosen one. Returns whether anything was rated.
 * @param {App} app
 * @param {string} run
 * @param {PicturePlace} place
 * @param {{ title: string, words?: string[] }} about title: what was asked for; words: what may be unwanted, by default those of the title
 */
export async function ratePicture(app, run, place, { title, words = promptWords(title) }) {
  /** @type {Ratings} */
  let ratings;
  const loaded = await app.attempt(async () => {
    ratings = await app.api.get(`runs/${part(run)}/ratings`);
  });
  if (!loaded) return false;
  let changed = false;
  await dialog(app, `Rate: ${title || "(empty prompt)"}`, (close) => {
    const image = el("img.rated-picture", { src: app.api.url(pictureAddress(part(run), place)), alt: `${title}, step ${place.step}` });
    image.addEventListener("load", () => image.classList.toggle("sdft-pixels", image.naturalWidth <= SMALL));
    const advice = el("div.stack.tight", { "aria-live": "polite" });
    const choices = el("div.row.wrap", { role: "group", "aria-label": "Rating" });
    const draw = () => {
      const given = givenKind(ratings, place);
      const proposal = proposalOf(ratings, place);
      const kind = given ?? kindOf(ratings, proposal?.rating);
      fill(choices, ratings.kinds.map((one) => choice(one, given?.name === one.name)));
      fill(
        advice,
        !given && proposal && el("p.help", { data: { role: "proposed" } }, `The numbers propose: ${kind?.label}. ${proposal.text}`),
        kind && adviceNode(app, kind, { run, ratings, step: place.step, words, leave: close }),
      );
    };
    /** @param {Ratings["kinds"][number]} kind @param {boolean} pressed */
    const choice = ({ name, label, help }, pressed) => button(label, () => rate(pressed ? "" : name), { kind: "chip", title: help, "aria-pressed": String(pressed), data: { action: "rate", rating: name } });
    /** @param {string} rating */
    const rate = (rating) =>
      app.attempt(async () => {
        /** @type {{ given: RatedPicture[] }} */
        const { given } = await app.api.post(`runs/${part(run)}/ratings`, { set: place.set, number: place.number, step: place.step, rating });
        ratings = { ...ratings, given };
        changed = true;
        draw();
        /** @type {HTMLElement | null} */ (choices.querySelector(`[data-rating="${rating}"]`))?.focus();
      });
    draw();
    const near = nearestOf(ratings, place);
    const nearest = near && el("div.row", { data: { role: "nearest" } }, near.picture && thumbnail(app, { picture: near.picture, text: near.name }), el("p.help", {}, near.text));
    return el("div.stack", {}, el("div.row.wrap.rating", {}, el("div.stack.tight.rated", {}, image, nearest), el("div.stack.tight", {}, el("p.help", {}, `Step ${place.step}. Choose what is wrong with it; choose it again to take it back.`), choices, advice)));
  });
  return changed;
}
