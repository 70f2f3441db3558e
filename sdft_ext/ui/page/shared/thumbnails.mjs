// Small pictures of a dataset.

import { el } from "./dom.mjs";
import { thousands } from "./numbers.mjs";

/** @import { App, Dataset } from "../types.d.ts" */

/** Pictures up to this size are enlarged with their pixels visible. */
const PIXELS = 128;
/** The side that is asked for, so that a thumbnail is sharp on fine screens too. */
const SIDE = 192;

/** The class of a picture of this size. @param {number} width @param {number} height */
export const pixelClass = (width, height) => (Math.max(width, height) <= PIXELS ? "sdft-pixels" : "");

/**
 * Makes one thumbnail.
 * @param {App} app
 * @param {object} picture
 * @param {string} picture.picture path below /sdft/v1/
 * @param {string} picture.text what it shows, for those who don't see it
 * @param {string} [picture.title] the text by default
 * @param {number} [picture.width]
 * @param {number} [picture.height]
 */
export function thumbnail(app, { picture, text, title = text, width = Infinity, height = Infinity }) {
  const source = { src: app.api.url(picture, { side: SIDE }), alt: text, loading: "lazy", width: 72, height: 72 };
  return el("figure.thumbnail", { title }, el("img", { ...source, class: pixelClass(width, height) }));
}

/** Makes the first thumbnails of a dataset, and says how many pictures more there are. @param {App} app @param {Dataset} dataset @param {string} [role] */
export function thumbnails(app, dataset, role = undefined) {
  const more = dataset.pictures - dataset.thumbnails.length;
  return el(
    "div.thumbnails",
    role ? { data: { role } } : {},
    dataset.thumbnails.map(({ name, picture, width, height, caption }) => {
      const text = caption ? `${name}: ${caption}` : name;
      return thumbnail(app, { picture, text, title: `${text}\n${width} × ${height}`, width, height });
    }),
    more > 0 && el("span.more", {}, `+ ${thousands(more)}`),
  );
}
