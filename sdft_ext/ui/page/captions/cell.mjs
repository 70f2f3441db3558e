// One picture of the captions' grid: the picture, its caption as tags or as a sentence, and what is to be known about it.

import { el } from "../shared/dom.mjs";
import { plainTag, tagsOf } from "./tags.mjs";

export const SIZES = { small: 132, medium: 176, large: 256 };
/** Longer captions are shown by their beginning; the whole stands beside the grid. */
const SHOWN = 420;

/** Columns and row height [pixels] for a grid this wide. */
export function fit(width, size) {
  const side = SIZES[size];
  const columns = Math.max(Math.floor(width / (side + 34)), width > 300 ? 2 : 1);
  return { columns, height: side + 112 };
}

/**
 * The content of a cell. `view`: `tags` or `text`; `wanted`: tags that a filter asks for, which are marked; `typed`: what stands in
 * the field and has not reached the server.
 */
export function cell(app, entry, { view, size, wanted, typed }) {
  const { name, caption, width, height } = entry;
  const side = SIZES[size];
  const image = el("img", { alt: name, draggable: "false", decoding: "async", class: Math.max(width, height) <= 128 ? "sdft-pixels" : "" });
  image.dataset.src = app.api.url(entry.picture, { side: side > 180 ? 384 : 256 });
  const place = el("div.cap-image", {}, image);
  place.style.height = `${side}px`;
  const box = el("input", { type: "checkbox", tabIndex: -1, "aria-label": `Select ${name}` });
  return el(
    "div.cap-picture",
    { title: `${name}\n${width} × ${height}` },
    el("span.cap-mark", {}, box),
    flags(entry, typed !== undefined),
    place,
    words(typed ?? caption, view, wanted),
    el("div.cap-foot", {}, el("span.cap-name", {}, name), entry.tokens !== undefined && entry.tokens !== null && el("span", {}, `${entry.tokens} tokens`)),
  );
}

function flags({ state }, typed) {
  return el(
    "span.cap-flags",
    {},
    state === "conflict" && el("span.cap-flag.bad", {}, "Changed on disk"),
    state === "locked" && el("span.cap-flag", {}, "Locked"),
    (state === "changed" || typed) && el("span.cap-flag.warn", {}, "Unsaved"),
  );
}

function words(text, view, wanted) {
  if (!text.trim()) return el("div.cap-words.none", {}, "No caption");
  const start = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  if (view === "text") return el("div.cap-words.cut", {}, start);
  return el(
    "div.cap-words.cut",
    {},
    el("span.cap-tags", {}, tagsOf(start).map((tag) => el(wanted.has(plainTag(tag)) ? "span.cap-tag.hit" : "span.cap-tag", {}, tag))),
  );
}
