// The caption of the active picture: large, to be typed in, with the tokens that the model makes of it.

import { button, debounced, el } from "../shared/dom.mjs";
import { TokenView } from "./tokens.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { Autosend } from "./autosend.mjs" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { CaptionedPicture } from "./types.d.ts" */

/** Where a caption comes from, if not from a file of its own. @type {Record<string, string>} */
const SOURCES = {
  folder: "This caption comes from the folder's name. Editing it creates a text file next to the picture.",
  name: "This caption comes from the file's name. Editing it creates a text file next to the picture.",
};

/** Milliseconds without typing until a text is sent; it is also sent when the field is left. */
const PAUSE = 1500;

export class CaptionEditor {
  #app;
  #store;
  #autosend;
  #act;
  #image = el("img.cap-large", { alt: "" });
  #name = el("h2.subtitle.cap-name");
  #place = el("span.quiet");
  #text = el("textarea.input.cap-editor", { rows: 5, spellcheck: "true", "aria-label": "Caption", data: { action: "caption" } });
  #note = el("p.help", { "aria-live": "polite" });
  #tokens;
  /** @type {number | null} */
  #shown = null;
  /** The caption when the field was last filled or sent: where the field differs from it, something was typed. */
  #sent = "";
  #later = debounced(() => this.send({ quiet: true }), PAUSE);

  /**
   * `back()` leaves the editor, `step(by)` goes on by so many pictures.
   * @param {App} app
   * @param {CaptionStore} store
   * @param {Autosend} autosend
   * @param {{ back: () => void, step: (by: number) => void }} act
   */
  constructor(app, store, autosend, act) {
    this.#app = app;
    this.#store = store;
    this.#autosend = autosend;
    this.#act = act;
    this.#tokens = new TokenView(store);
    this.#text.addEventListener("input", () => {
      if (this.#shown === null) return;
      store.keepUnsent(this.#shown, this.#text.value);
      this.#tokens.show(this.#text.value);
      this.#later();
    });
    this.#text.addEventListener("blur", () => this.send());
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.node = el(
      "div.cap-body",
      { hidden: true },
      this.#image,
      el(
        "div.row",
        {},
        this.#name,
        el("span.spring"),
        this.#place,
        button("‹", () => act.step(-1), { kind: "icon", "aria-label": "Previous picture" }),
        button("›", () => act.step(1), { kind: "icon", "aria-label": "Next picture" }),
      ),
      this.#text,
      this.#note,
      this.#tokens.node,
    );
  }

  /**
   * Sends what was typed.
   * @param {{ quiet?: boolean }} options quiet: asks the user nothing
   */
  async send({ quiet = false } = {}) {
    if (this.#shown === null || this.#text.value === this.#sent) return;
    const id = this.#shown;
    this.#sent = this.#text.value;
    const arrived = await this.#autosend.send(id, this.#sent, { quiet });
    // Where it has not arrived, leaving the field again sends it again.
    if (arrived || this.#shown !== id) return;
    this.#sent = this.#store.entry(id)?.caption ?? "";
    if (quiet) this.#note.textContent = "Not sent yet. Click outside the field to retry.";
  }

  /**
   * Shows the first caption of a folder that was read. What was typed before it is the store's: ids are other pictures' now.
   * @param {number | null} id
   */
  begin(id) {
    this.#shown = null;
    this.show(id);
  }

  /**
   * Shows a picture's caption; what was typed into another one is sent.
   * @param {number | null} id
   */
  show(id) {
    if (id !== this.#shown) this.send();
    const entry = id === null ? undefined : this.#store.entry(id);
    this.#shown = entry ? id : null;
    this.node.hidden = !entry;
    if (entry) this.#draw(entry);
  }

  /** @param {CaptionedPicture} entry */
  #draw(entry) {
    const { unsent, shown, history } = this.#store;
    const source = this.#app.api.url(entry.picture, { side: 512 });
    if (this.#image.src !== source) {
      this.#image.removeAttribute("src");
      this.#image.src = source;
    }
    this.#image.classList.toggle("sdft-pixels", Math.max(entry.width, entry.height) <= 128);
    this.#image.alt = entry.name;
    this.#name.textContent = entry.name;
    this.#name.title = entry.name;
    const at = shown.indexOf(entry.id);
    this.#place.textContent = at < 0 ? "" : `${at + 1} of ${shown.length}`;
    const now = unsent.text(entry.id) ?? entry.caption;
    if (this.#text.value !== now) this.#text.value = now;
    this.#sent = now;
    this.#text.readOnly = entry.state === "locked" || !history.writable;
    this.#note.textContent = SOURCES[entry.source] ?? "";
    this.#tokens.show(now);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault();
      this.send();
      this.#act.back();
    } else if ((event.key === "PageDown" || event.key === "PageUp") && !event.shiftKey) {
      event.preventDefault();
      this.#act.step(event.key === "PageDown" ? 1 : -1);
    }
  }

  /**
   * Shows a caption that has another text now, unless the user is typing another one. `ids`: those that have changed, or null for all.
   * @param {number[] | null} ids
   */
  follow(ids) {
    if (this.#shown === null || (ids && !ids.includes(this.#shown))) return;
    if (this.typed && this.focused) return;
    this.show(this.#shown);
  }

  focus() {
    this.#text.focus();
    this.#text.setSelectionRange(this.#text.value.length, this.#text.value.length);
  }

  /** Whether something is typed that hasn't been sent. */
  get typed() {
    return this.#shown !== null && this.#text.value !== this.#sent;
  }

  get focused() {
    return document.activeElement === this.#text;
  }
}
