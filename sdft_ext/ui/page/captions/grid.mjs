// A grid of thousands of pictures of which only those in sight are elements of the page; mouse and keyboard as in a file manager.

import { el } from "../shared/dom.mjs";
import { keyStep, placeAfter, rowsToKeep, scrolledTo } from "./grid_layout.mjs";

/** Pictures are fetched when scrolling has paused this long [ms], so that scrolling past two thousand fetches none of them. */
const PAUSE = 70;

/**
 * @typedef {object} GridOptions
 * @property {string} label
 * @property {(id: number) => Element} build makes a cell's content
 * @property {(width: number) => { columns: number, height: number }} fit gives the columns and the row height for a width [pixels]
 * @property {(id: number) => boolean} selected
 * @property {GridActions} act
 */

/**
 * @typedef {object} GridActions What the user does.
 * @property {(id: number | null) => void} activate
 * @property {(ids: number[], on: boolean) => void} select
 * @property {(ids: number[]) => void} selectOnly
 * @property {(id: number) => void} edit
 */

export class Grid {
  /** @type {number[]} */
  #ids = [];
  /** Places by id. @type {Map<number, number>} */
  #places = new Map();
  /** Rows that are in the page, by number. @type {Map<number, HTMLElement>} */
  #rows = new Map();
  /** @type {number | null} */
  #active = null;
  /** Where a selection with Shift begins. @type {number | null} */
  #anchor = null;
  #columns = 1;
  #height = 200;
  #timer = 0;
  #options;
  #act;
  #space = el("div.cap-space", { role: "presentation" });

  /** @param {GridOptions} options */
  constructor(options) {
    this.#options = options;
    this.#act = options.act;
    this.node = el(
      "div.cap-grid",
      { role: "grid", "aria-label": options.label, "aria-multiselectable": "true", tabIndex: -1 },
      this.#space,
    );
    this.node.addEventListener("scroll", () => this.#update(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.#key(event));
    this.node.addEventListener("click", (event) => this.#click(event));
    this.node.addEventListener("dblclick", (event) => {
      const id = this.#idAt(event.target);
      if (id !== null && !event.ctrlKey && !event.shiftKey && !closest(event.target, "input")) this.#act.edit(id);
    });
    new ResizeObserver(() => this.resize()).observe(this.node);
  }

  /**
   * Shows pictures in this order. The active one stays if it is among them.
   * @param {number[]} ids
   */
  show(ids) {
    const top = this.#topmost();
    const focused = this.node.contains(document.activeElement);
    this.#ids = ids;
    this.#places = new Map(ids.map((id, place) => [id, place]));
    const before = this.#active;
    if (this.#placeOf(before) === undefined) this.#active = ids[0] ?? null;
    if (this.#placeOf(this.#anchor) === undefined) this.#anchor = null;
    this.#clear();
    this.resize();
    const kept = this.#placeOf(top);
    if (top !== null) this.node.scrollTop = kept === undefined ? 0 : this.#rowOf(kept) * this.#height;
    this.#update();
    if (focused) this.#refocus();
    if (this.#active !== before) this.#act.activate(this.#active);
  }

  /**
   * Draws these pictures' cells again where they are in sight; without ids all of them.
   * @param {number[] | null} ids
   */
  redraw(ids = null) {
    const [from, to] = this.#wantedRows();
    for (const id of ids ?? this.#ids.slice(from * this.#columns, to * this.#columns)) {
      const cell = this.#cell(id);
      if (cell) this.#fill(cell, id);
    }
  }

  /** Marks cells as selected or not, without drawing them again. */
  remark() {
    for (const row of this.#rows.values()) for (const cell of cellsOf(row)) this.#mark(cell, this.#idAt(cell));
  }

  /**
   * Makes a picture the active one and brings it into view.
   * @param {number | null} id
   */
  go(id, { focus = true } = {}) {
    const place = this.#placeOf(id);
    if (place === undefined) return;
    const old = this.#cell(this.#active);
    const changed = id !== this.#active;
    this.#active = id;
    if (old) this.#mark(old, this.#idAt(old));
    this.node.scrollTop = scrolledTo(this.#rowOf(place), this.node.scrollTop, this.node.clientHeight, this.#height);
    this.#update();
    const cell = this.#cell(id);
    if (cell) this.#mark(cell, id);
    if (focus) cell?.focus({ preventScroll: true });
    if (changed) this.#act.activate(id);
  }

  focus() {
    if (this.#active !== null) this.go(this.#active);
    else this.node.focus();
  }

  /**
   * Returns the picture so many places after the active one.
   * @param {number} step
   */
  neighbour(step) {
    const place = this.#placeOf(this.#active) ?? 0;
    return this.#ids[Math.min(Math.max(place + step, 0), this.#ids.length - 1)] ?? null;
  }

  /** Lays the grid out again, after it or its cells have another size. */
  resize() {
    const width = this.#space.clientWidth;
    if (!width) return;
    const { columns, height } = this.#options.fit(width);
    if (columns !== this.#columns || height !== this.#height) {
      const top = this.#topmost();
      const focused = this.node.contains(document.activeElement);
      this.#clear();
      this.#columns = columns;
      this.#height = height;
      const place = this.#placeOf(top);
      if (place !== undefined) this.node.scrollTop = this.#rowOf(place) * height;
      if (focused) this.#refocus();
    }
    const rows = Math.ceil(this.#ids.length / this.#columns);
    this.#space.style.height = `${rows * this.#height}px`;
    this.node.setAttribute("aria-rowcount", String(rows));
    this.node.setAttribute("aria-colcount", String(this.#columns));
    this.#update();
  }

  /** Keeps the keyboard in the grid when its cells are made anew. */
  #refocus() {
    this.node.focus({ preventScroll: true });
    this.#update();
    this.#cell(this.#active)?.focus({ preventScroll: true });
  }

  /** Returns the first picture in sight, or null where nothing is scrolled. */
  #topmost() {
    if (this.node.scrollTop <= 0) return null;
    return this.#ids[Math.floor(this.node.scrollTop / this.#height) * this.#columns] ?? null;
  }

  /** @param {number | null} id */
  #placeOf(id) {
    return id === null ? undefined : this.#places.get(id);
  }

  /** @param {number} place */
  #rowOf(place) {
    return Math.floor(place / this.#columns);
  }

  #wantedRows() {
    return rowsToKeep(this.node.scrollTop, this.node.clientHeight, this.#height);
  }

  /** Makes the rows in sight, and drops the others; the one with the keyboard's focus stays. */
  #update() {
    const [from, to] = this.#wantedRows();
    const end = Math.min(to, Math.ceil(this.#ids.length / this.#columns));
    /** @type {Set<number>} */
    const wanted = new Set();
    if (this.node.clientHeight) for (let row = from; row < end; row++) wanted.add(row);
    const place = this.#placeOf(this.#active);
    if (place !== undefined && this.node.contains(document.activeElement)) wanted.add(this.#rowOf(place));
    for (const [number, row] of this.#rows) {
      if (wanted.has(number)) continue;
      drop(row);
      this.#rows.delete(number);
    }
    for (const number of [...wanted].sort((a, b) => a - b)) if (!this.#rows.has(number)) this.#add(number);
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#fetch(), PAUSE);
  }

  /** @param {number} number */
  #add(number) {
    const row = el("div.cap-row", { role: "row", "aria-rowindex": number + 1 });
    row.style.top = `${number * this.#height}px`;
    row.style.height = `${this.#height}px`;
    row.style.gridTemplateColumns = `repeat(${this.#columns}, minmax(0, 1fr))`;
    for (const [column, id] of this.#ids.slice(number * this.#columns, (number + 1) * this.#columns).entries()) {
      const cell = el("div.cap-cell", { role: "gridcell", "aria-colindex": column + 1, data: { id } });
      this.#fill(cell, id);
      row.append(cell);
    }
    // Rows stand in the page in their order, as a screen reader walks through them.
    const next = [...this.#rows.keys()].filter((one) => one > number).sort((a, b) => a - b)[0];
    this.#space.insertBefore(row, this.#rows.get(next) ?? null);
    this.#rows.set(number, row);
  }

  /**
   * @param {HTMLElement} cell
   * @param {number} id
   */
  #fill(cell, id) {
    /** @type {HTMLImageElement | null} */
    const shown = cell.querySelector("img[src]");
    const content = this.#options.build(id);
    /** @type {HTMLImageElement | null} */
    const image = content.querySelector("img[data-src]");
    // A picture that is there already isn't asked for again.
    if (shown && image && shown.dataset.src === image.dataset.src) image.replaceWith(shown);
    cell.replaceChildren(content);
    this.#mark(cell, id);
  }

  /**
   * @param {HTMLElement} cell
   * @param {number | null} id
   */
  #mark(cell, id) {
    if (id === null) return;
    const selected = this.#options.selected(id);
    cell.setAttribute("aria-selected", String(selected));
    cell.classList.toggle("sdft-chosen", selected);
    cell.classList.toggle("sdft-active", id === this.#active);
    cell.tabIndex = id === this.#active ? 0 : -1;
    /** @type {HTMLInputElement | null} */
    const box = cell.querySelector("input[type=checkbox]");
    if (box) box.checked = selected;
  }

  /** Asks for the pictures of the rows in sight. */
  #fetch() {
    /** @type {NodeListOf<HTMLImageElement>} */
    const images = this.#space.querySelectorAll("img[data-src]:not([src])");
    for (const image of images) image.src = image.dataset.src ?? "";
  }

  #clear() {
    for (const row of this.#rows.values()) drop(row);
    this.#rows.clear();
  }

  /** @param {number | null} id */
  #cell(id) {
    const place = this.#placeOf(id);
    const row = place === undefined ? undefined : this.#rows.get(this.#rowOf(place));
    return row && place !== undefined ? cellsOf(row)[place % this.#columns] : undefined;
  }

  /** @param {EventTarget | null} target */
  #idAt(target) {
    const cell = closest(target, ".sdft-cap-cell");
    const row = cell?.parentElement;
    if (!cell || !row) return null;
    return this.#ids[(Number(row.getAttribute("aria-rowindex")) - 1) * this.#columns + [...row.children].indexOf(cell)] ?? null;
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const id = this.#idAt(event.target);
    if (id === null) return;
    if (event.shiftKey) {
      event.preventDefault();
      this.#stretch(id, event.ctrlKey || event.metaKey);
    } else if (event.ctrlKey || event.metaKey || closest(event.target, "input[type=checkbox]")) this.#toggle(id);
    else this.#anchor = id;
    this.go(id);
    this.remark();
  }

  /** @param {number} id */
  #toggle(id) {
    this.#anchor = id;
    this.#act.select([id], !this.#options.selected(id));
  }

  /**
   * Selects all from where the selection began to this one. `more`: what is selected stays selected.
   * @param {number} id
   * @param {boolean} more
   */
  #stretch(id, more) {
    const anchor = this.#placeOf(this.#anchor ?? this.#active) ?? 0;
    this.#anchor ??= this.#ids[anchor];
    const [from, to] = [anchor, this.#placeOf(id) ?? anchor].sort((a, b) => a - b);
    const ids = this.#ids.slice(from, to + 1);
    if (more) this.#act.select(ids, true);
    else this.#act.selectOnly(ids);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.#ids.length || event.altKey || event.isComposing) return;
    if (closest(event.target, "input, textarea") && !closest(event.target, "input[type=checkbox]")) return;
    const control = event.ctrlKey || event.metaKey;
    const page = Math.max(Math.floor(this.node.clientHeight / this.#height), 1) * this.#columns;
    const step = keyStep(event.key, this.#columns, page);
    if (step !== undefined) this.#move(step, event.shiftKey, control);
    else if (this.#active === null || !this.#press(this.#active, event, control)) return;
    event.preventDefault();
  }

  /**
   * Moves on by a key; with Shift the selection goes along.
   * @param {number} step
   * @param {boolean} shift
   * @param {boolean} control
   */
  #move(step, shift, control) {
    const to = this.#ids[placeAfter(this.#placeOf(this.#active) ?? 0, step, this.#columns, this.#ids.length)];
    if (shift) this.#stretch(to, control);
    this.go(to);
    this.remark();
  }

  /**
   * Does what a key means for the active picture; returns whether it means anything.
   * @param {number} active
   * @param {KeyboardEvent} event
   * @param {boolean} control
   */
  #press(active, event, control) {
    if (event.key === " ") {
      if (event.shiftKey) this.#stretch(active, true);
      else this.#toggle(active);
      this.remark();
    } else if ((event.key === "Enter" || event.key === "F2") && !control) this.#act.edit(active);
    else if (control && event.key.toLowerCase() === "a") {
      this.#act.selectOnly(this.#ids);
      this.remark();
    } else return false;
    return true;
  }
}

/**
 * Finds the nearest element that something lies in.
 * @param {EventTarget | null} target
 * @param {string} selector
 */
function closest(target, selector) {
  return target instanceof Element ? target.closest(selector) : null;
}

/** @param {HTMLElement} row */
function cellsOf(row) {
  return /** @type {HTMLElement[]} */ ([...row.children]);
}

/**
 * Takes a row out of the page; pictures that have not come yet aren't waited for.
 * @param {HTMLElement} row
 */
function drop(row) {
  /** @type {NodeListOf<HTMLImageElement>} */
  const images = row.querySelectorAll("img[src]");
  for (const image of images) if (!image.complete) image.removeAttribute("src");
  row.remove();
}
