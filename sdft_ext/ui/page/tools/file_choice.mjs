// A list of the server's files, and a line for the path of another one.

import { el, fill } from "../shared/dom.mjs";
import { megabytes } from "../shared/numbers.mjs";
import { stem } from "./files.mjs";

/** @import { ListedFile } from "./types.d.ts" */

/** The list's value where a path is typed. */
const TYPED = "";

export class FileChoice {
  #files;
  #changed;
  #first;
  #typed;
  /** The files that are listed, as JSON; null before they have come. @type {string | null} */
  #shown = null;

  /**
   * @param {string} label
   * @param {() => ListedFile[]} files
   * @param {() => void} changed
   * @param {(files: ListedFile[]) => ListedFile | undefined} first returns the one that is chosen at first
   */
  constructor(label, files, changed, first = (all) => all[0]) {
    this.#files = files;
    this.#changed = changed;
    this.#first = first;
    this.select = el("select.input", { "aria-label": label, onchange: () => this.#choose() });
    this.#typed = el("input.input", {
      type: "text",
      spellcheck: "false",
      autocomplete: "off",
      placeholder: "Full path",
      "aria-label": `${label}: path`,
      oninput: changed,
    });
    this.node = el("div.stack.tight.file-choice", {}, this.select, this.#typed);
    this.follow();
  }

  /** Takes over new files; the chosen one stays. */
  follow() {
    this.#draw();
    this.#typed.hidden = this.select.value !== TYPED;
  }

  #draw() {
    const files = this.#files();
    const text = JSON.stringify(files.map(({ path, bytes }) => [path, bytes]));
    if (text === this.#shown) return;
    const before = this.#shown === null ? (this.#first(files)?.path ?? TYPED) : this.select.value;
    this.#shown = text;
    const groups = [...new Set(files.map(({ group }) => group))];
    fill(
      this.select,
      groups.map((group) => el("optgroup", { label: group }, files.filter((file) => file.group === group).map(optionNode))),
      el("option", { value: TYPED }, "Another file, by its path …"),
    );
    this.select.value = files.some(({ path }) => path === before) ? before : TYPED;
  }

  /** Follows a choice of the user. */
  #choose() {
    this.follow();
    if (!this.#typed.hidden) this.#typed.focus();
    this.#changed();
  }

  value() {
    return this.select.value === TYPED ? this.#typed.value.trim() : this.select.value;
  }

  stem() {
    return stem(this.value());
  }

  /**
   * Chooses a file, by its path where it isn't listed.
   * @param {string} path
   */
  put(path) {
    this.follow();
    this.select.value = path;
    if (this.select.value !== path) {
      this.select.value = TYPED;
      this.#typed.value = path;
    }
    this.#choose();
  }
}

/** @param {ListedFile} file */
function optionNode({ path, name, bytes }) {
  return el("option", { value: path, title: path }, `${name}${bytes ? ` · ${megabytes(bytes / 2 ** 20)}` : ""}`);
}
