// One picture of the captions' grid: the picture, its caption as tags or as a sentence, and its state.

import { el } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";
import { plainTag, tagsOf } from "./tags.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionedPicture, View } from "./types.d.ts" */

/** Sides of the pictures, and heights of what is below them [pixels]. */
export const SIZES = { tiny: [84, 64], small: [124, 84], medium: [176, 112], large: [256, 112] };
/** Least room beside a picture [pixels]. */
const BESIDE = 26;
/** Longer captions are shown by their beginning; the editor shows all of them. */
const SHOWN = 420;

/**
 * Returns the number of columns and the row height [pixels] of a grid.
 * @param {number} width in pixels
 * @param {View["size"]} size
 */
export function fit(width, size) {
  const [side, below] = SIZES[size];
  const columns = Math.max(Math.floor(width / (side + BESIDE)), width > 300 ? 2 : 1);
  return { columns, height: side + below };
}

/**
 * Returns the content of a cell. `wanted`: the tags that a filter asks for, which are marked; `unsent`: what was typed and
 * hasn't reached the server.
 * @param {App} app
 * @param {CaptionedPicture} entry
 * @param {View & { wanted: Set<string>, unsent: string | undefined }} options
 */
export function cell(app, entry, { view, size, wanted, unsent }) {
  const { name, caption, width, height } = entry;
  const [side] = SIZES[size];
  const image = el("img", { alt: name, draggable: "false", decoding: "async", class: Math.max(width, height) <= 128 ? "sdft-pixels" : "" });
  image.dataset.src = app.api.url(entry.picture, { side: side > 180 ? 384 : 256 });
  const place = el("div.cap-image", {}, image);
  place.style.height = `${side}px`;
  const box = el("input", { type: "checkbox", tabIndex: -1, "aria-label": `Select ${name}` });
  return el(
    "div.cap-picture",
    { title: `${name}\n${width} × ${height}` },
    el("span.cap-mark", {}, box),
    flags(entry.state, unsent !== undefined),
    place,
    captionNode(unsent ?? caption, view, wanted),
    el(
      "div.cap-foot",
      {},
      el("span.cap-name", {}, name),
      entry.tokens !== undefined && entry.tokens !== null && tokensNode(entry.tokens, size),
    ),
  );
}

/**
 * Shows how many tokens a caption has; below the smallest pictures there is only room for the number.
 * @param {number} tokens
 * @param {View["size"]} size
 */
function tokensNode(tokens, size) {
  const text = count(tokens, "token", "tokens");
  return size === "tiny" ? el("span", { title: text, "aria-label": text }, String(tokens)) : el("span", {}, text);
}

/**
 * @param {CaptionedPicture["state"]} state
 * @param {boolean} unsent
 */
function flags(state, unsent) {
  return el(
    "span.cap-flags",
    {},
    state === "conflict" && el("span.cap-flag.bad", {}, "Changed on disk"),
    state === "locked" && el("span.cap-flag", {}, "Locked"),
    (state === "changed" || unsent) && el("span.cap-flag.warn", {}, "Unsaved"),
  );
}

/**
 * @param {string} text
 * @param {View["view"]} view
 * @param {Set<string>} wanted
 */
function captionNode(text, view, wanted) {
  if (!text.trim()) return el("div.cap-words.none", {}, "No caption");
  const start = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  if (view === "text") return el("div.cap-words.cut", {}, start);
  return el(
    "div.cap-words.cut",
    {},
    el(
      "span.cap-tags",
      {},
      tagsOf(start).map((tag) => el(wanted.has(plainTag(tag)) ? "span.cap-tag.hit" : "span.cap-tag", {}, tag)),
    ),
  );
}
