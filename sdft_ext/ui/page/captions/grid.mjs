// A grid of thousands of pictures of which only those in sight are elements of the page; mouse and keyboard as in a file manager.

import { el } from "../shared/dom.mjs";

/** Rows kept ready above and below what is in sight. */
const SPARE = 2;
/** Pictures are fetched when scrolling has paused this long: who races past two thousand fetches none of them. */
const PAUSE = 70;

/**
 * `build(id)` makes a cell's content and `fit(width)` says how many columns there are and how high a row is.
 * `act` hears what the user does: `active(id)`, `select(ids, on)`, `only(ids)`, `edit(id)`; `chosen(id)` says what is selected.
 */
export class Grid {
  #ids = [];
  #places = new Map();
  #rows = new Map();
  #active = null;
  #anchor = null;
  #columns = 1;
  #height = 200;
  #timer = 0;

  constructor({ label, build, fit, chosen, act }) {
    Object.assign(this, { build, fit, chosen, act });
    this.space = el("div.cap-space", { role: "presentation" });
    this.node = el("div.cap-grid", { role: "grid", "aria-label": label, "aria-multiselectable": "true", tabIndex: -1 }, this.space);
    this.node.addEventListener("scroll", () => this.#look(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.#key(event));
    this.node.addEventListener("click", (event) => this.#click(event));
    this.node.addEventListener("dblclick", (event) => {
      const id = this.#idAt(event.target);
      if (id !== null && !event.ctrlKey && !event.shiftKey && !event.target.closest("input")) this.act.edit(id);
    });
    new ResizeObserver(() => this.resize()).observe(this.node);
  }

  get ids() {
    return this.#ids;
  }

  get active() {
    return this.#active;
  }

  /** The pictures to show, in this order. The active one stays if it is among them. */
  show(ids) {
    const top = this.#topmost();
    const focused = this.node.contains(document.activeElement);
    this.#ids = ids;
    this.#places = new Map(ids.map((id, place) => [id, place]));
    const before = this.#active;
    if (!this.#places.has(before)) this.#active = ids[0] ?? null;
    if (!this.#places.has(this.#anchor)) this.#anchor = null;
    this.#clear();
    this.resize();
    const kept = this.#places.get(top);
    if (top !== undefined) this.node.scrollTop = kept === undefined ? 0 : Math.floor(kept / this.#columns) * this.#height;
    this.#look();
    if (focused) this.#refocus();
    if (this.#active !== before) this.act.active(this.#active);
  }

  /** Draws these pictures' cells again where they are in sight; without ids all of them. */
  redraw(ids = null) {
    for (const id of ids ?? this.#ids.slice(...this.#range())) {
      const cell = this.#cell(id);
      if (cell) this.#fill(cell, id);
    }
  }

  /** Marks cells as selected or not, without drawing them again. */
  remark() {
    for (const row of this.#rows.values()) for (const cell of row.children) this.#mark(cell, this.#idAt(cell));
  }

  /** Makes a picture the active one and brings it into view. */
  go(id, { focus = true } = {}) {
    const place = this.#places.get(id);
    if (place === undefined) return;
    const old = this.#cell(this.#active);
    const changed = id !== this.#active;
    this.#active = id;
    if (old) this.#mark(old, this.#idAt(old));
    const top = Math.floor(place / this.#columns) * this.#height;
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    else if (top + this.#height > this.node.scrollTop + this.node.clientHeight) this.node.scrollTop = top + this.#height - this.node.clientHeight;
    this.#look();
    const cell = this.#cell(id);
    if (cell) this.#mark(cell, id);
    if (focus) cell?.focus({ preventScroll: true });
    if (changed) this.act.active(id);
  }

  focus() {
    if (this.#active !== null) this.go(this.#active);
    else this.node.focus();
  }

  /** The picture so many places after the active one. */
  neighbour(step) {
    const place = this.#places.get(this.#active) ?? 0;
    return this.#ids[Math.min(Math.max(place + step, 0), this.#ids.length - 1)] ?? null;
  }

  /** Works the columns out again, after the grid or its cells have another size. */
  resize() {
    const width = this.space.clientWidth;
    if (!width) return;
    const { columns, height } = this.fit(width);
    if (columns !== this.#columns || height !== this.#height) {
      const top = this.#topmost();
      const focused = this.node.contains(document.activeElement);
      this.#clear();
      this.#columns = columns;
      this.#height = height;
      if (top !== undefined) this.node.scrollTop = Math.floor(this.#places.get(top) / columns) * height;
      if (focused) this.#refocus();
    }
    const rows = Math.ceil(this.#ids.length / this.#columns);
    this.space.style.height = `${rows * this.#height}px`;
    this.node.setAttribute("aria-rowcount", String(rows));
    this.node.setAttribute("aria-colcount", String(this.#columns));
    this.#look();
  }

  /** The keyboard stays in the grid when its cells are made anew. */
  #refocus() {
    this.node.focus({ preventScroll: true });
    this.#look();
    this.#cell(this.#active)?.focus({ preventScroll: true });
  }

  #topmost() {
    return this.node.scrollTop > 0 ? this.#ids[Math.floor(this.node.scrollTop / this.#height) * this.#columns] : undefined;
  }

  #range() {
    const first = Math.max(Math.floor(this.node.scrollTop / this.#height) - SPARE, 0);
    const last = Math.ceil((this.node.scrollTop + this.node.clientHeight) / this.#height) + SPARE;
    return [first * this.#columns, last * this.#columns];
  }

  /** Makes the rows in sight, and lets go of the others; the one with the keyboard's focus stays. */
  #look() {
    const [from, to] = this.#range().map((place) => place / this.#columns);
    const end = Math.min(to, Math.ceil(this.#ids.length / this.#columns));
    const wanted = new Set();
    if (this.node.clientHeight) for (let row = from; row < end; row++) wanted.add(row);
    const place = this.#places.get(this.#active);
    if (place !== undefined && this.node.contains(document.activeElement)) wanted.add(Math.floor(place / this.#columns));
    for (const [number, row] of this.#rows) {
      if (wanted.has(number)) continue;
      this.#drop(row);
      this.#rows.delete(number);
    }
    for (const number of [...wanted].sort((a, b) => a - b)) if (!this.#rows.has(number)) this.#add(number);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetch(), PAUSE);
  }

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
    this.space.insertBefore(row, next === undefined ? null : this.#rows.get(next));
    this.#rows.set(number, row);
  }

  #fill(cell, id) {
    const shown = cell.querySelector("img[src]");
    const content = this.build(id);
    // A picture that is there already isn't asked for again.
    const image = content.querySelector("img[data-src]");
    if (shown && image && shown.dataset.src === image.dataset.src) image.replaceWith(shown);
    cell.replaceChildren(content);
    this.#mark(cell, id);
  }

  #mark(cell, id) {
    const chosen = this.chosen(id);
    cell.setAttribute("aria-selected", String(chosen));
    cell.classList.toggle("sdft-chosen", chosen);
    cell.classList.toggle("sdft-active", id === this.#active);
    cell.tabIndex = id === this.#active ? 0 : -1;
    const box = cell.querySelector("input[type=checkbox]");
    if (box) box.checked = chosen;
  }

  /** Asks for the pictures of the rows in sight. */
  #fetch() {
    for (const image of this.space.querySelectorAll("img[data-src]:not([src])")) image.src = image.dataset.src;
  }

  /** A picture that has not come yet isn't waited for any more. */
  #drop(row) {
    for (const image of row.querySelectorAll("img[src]")) if (!image.complete) image.removeAttribute("src");
    row.remove();
  }

  #clear() {
    for (const row of this.#rows.values()) this.#drop(row);
    this.#rows.clear();
  }

  #cell(id) {
    const place = this.#places.get(id);
    return place === undefined ? undefined : this.#rows.get(Math.floor(place / this.#columns))?.children[place % this.#columns];
  }

  #idAt(target) {
    const cell = target.closest(".sdft-cap-cell");
    if (!cell) return null;
    const row = cell.parentElement;
    return this.#ids[(Number(row.getAttribute("aria-rowindex")) - 1) * this.#columns + [...row.children].indexOf(cell)] ?? null;
  }

  #click(event) {
    const id = this.#idAt(event.target);
    if (id === null) return;
    if (event.shiftKey) {
      event.preventDefault();
      this.#stretch(id, event.ctrlKey || event.metaKey);
    } else if (event.ctrlKey || event.metaKey || event.target.closest("input[type=checkbox]")) this.#toggle(id);
    else this.#anchor = id;
    this.go(id);
    this.remark();
  }

  #toggle(id) {
    this.#anchor = id;
    this.act.select([id], !this.chosen(id));
  }

  /** Selects all from the last one chosen to this one; with `more` beside what is selected already. */
  #stretch(id, more) {
    const anchor = this.#places.get(this.#anchor ?? this.#active) ?? 0;
    this.#anchor ??= this.#ids[anchor];
    const [from, to] = [anchor, this.#places.get(id)].sort((a, b) => a - b);
    const ids = this.#ids.slice(from, to + 1);
    if (more) this.act.select(ids, true);
    else this.act.only(ids);
  }

  #key(event) {
    if (!this.#ids.length || event.altKey || event.isComposing) return;
    if (event.target.closest("input, textarea") && !event.target.matches("input[type=checkbox]")) return;
    const control = event.ctrlKey || event.metaKey;
    const page = Math.max(Math.floor(this.node.clientHeight / this.#height), 1) * this.#columns;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.#columns, ArrowUp: -this.#columns, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (step !== undefined) {
      const to = this.#step(step);
      if (event.shiftKey) this.#stretch(to, control);
      this.go(to);
      this.remark();
    } else if (event.key === " ") {
      if (event.shiftKey) this.#stretch(this.#active, true);
      else this.#toggle(this.#active);
      this.remark();
    } else if ((event.key === "Enter" || event.key === "F2") && !control) this.act.edit(this.#active);
    else if (control && event.key.toLowerCase() === "a") {
      this.act.only(this.#ids);
      this.remark();
    } else return;
    event.preventDefault();
  }

  /** Up and down stay in their column: at the first and last row they do nothing. */
  #step(step) {
    const place = this.#places.get(this.#active) ?? 0;
    const to = place + step;
    const last = this.#ids.length - 1;
    if (Math.abs(step) === this.#columns && this.#columns > 1 && Number.isFinite(step)) {
      if (to < 0) return this.#active;
      if (to > last) return Math.floor(place / this.#columns) < Math.floor(last / this.#columns) ? this.#ids[last] : this.#active;
    }
    return this.#ids[Math.min(Math.max(to, 0), last)];
  }
}
