// The caption of the active picture: large, to be typed in, with the tokens that the model makes of it.

import { button, debounced, el } from "../shared/dom.mjs";
import { tokenView } from "./tokens.mjs";

/** Where a caption is from, if not from a file of its own. */
const SOURCES = {
  folder: "These words are from the folder's name. Writing here makes a text file beside the picture.",
  name: "These words are from the file's name. Writing here makes a text file beside the picture.",
};

/** What is typed is handed over when the field is left, and after this pause. */
const PAUSE = 1500;

export function oneCaption(app, book, { write, back, step }) {
  const image = el("img.cap-large", { alt: "" });
  const name = el("h3.subtitle.cap-name");
  const place = el("span.quiet");
  const text = el("textarea.input.cap-editor", { rows: 5, spellcheck: "true", "aria-label": "Caption", data: { action: "caption" } });
  const note = el("p.help", { "aria-live": "polite" });
  const tokens = tokenView(app, book);
  let shown = null;
  /** What the book held when the field was last filled: where the two differ, something was typed. */
  let held = "";

  const handOver = async ({ quiet = false } = {}) => {
    if (shown === null || text.value === held) return;
    const id = shown;
    held = text.value;
    const arrived = await write(id, held, { quiet });
    // Where it has not arrived, leaving the field again sends it again.
    if (!arrived && shown === id) {
      held = book.entry(id)?.caption ?? "";
      if (quiet) note.textContent = "Not handed over yet. Leave the field to try again.";
    }
  };
  const later = debounced(() => handOver({ quiet: true }), PAUSE);

  const fill = (id) => {
    if (id !== shown) handOver();
    const entry = book.entry(id);
    shown = entry ? id : null;
    node.hidden = !entry;
    if (!entry) return;
    const source = app.api.url(entry.picture, { side: 512 });
    if (image.src !== source) {
      image.removeAttribute("src");
      image.src = source;
    }
    image.classList.toggle("sdft-pixels", Math.max(entry.width, entry.height) <= 128);
    image.alt = entry.name;
    name.textContent = entry.name;
    name.title = entry.name;
    const at = book.shown.indexOf(id);
    place.textContent = at < 0 ? "" : `${at + 1} of ${book.shown.length}`;
    const now = book.typed(id) ?? entry.caption;
    if (text.value !== now) text.value = now;
    held = now;
    text.readOnly = entry.state === "locked" || !book.history.writable;
    note.textContent = SOURCES[entry.source] ?? "";
    tokens.show(now);
  };

  text.addEventListener("input", () => {
    book.typing(shown, text.value);
    tokens.show(text.value);
    later();
  });
  text.addEventListener("blur", () => handOver());
  text.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault();
      handOver();
      back();
    } else if ((event.key === "PageDown" || event.key === "PageUp") && !event.shiftKey) {
      event.preventDefault();
      step(event.key === "PageDown" ? 1 : -1);
    }
  });

  const node = el(
    "div.cap-body",
    { hidden: true },
    image,
    el("div.row", {}, name, el("span.spring"), place, button("‹", () => step(-1), { kind: "icon", "aria-label": "Picture before" }), button("›", () => step(1), { kind: "icon", "aria-label": "Next picture" })),
    text,
    note,
    tokens.node,
  );
  return {
    node,
    show: fill,
    /** The caption has another text in the book: it is shown, unless the user is typing another one. */
    follow(ids) {
      if (shown === null || (ids && !ids.includes(shown))) return;
      if (text.value !== held && document.activeElement === text) return;
      fill(shown);
    },
    focus() {
      text.focus();
      text.setSelectionRange(text.value.length, text.value.length);
    },
    /** Whether something is typed that hasn't been handed over. */
    get typed() {
      return shown !== null && text.value !== held;
    },
    handOver,
    get focused() {
      return document.activeElement === text;
    },
  };
}
