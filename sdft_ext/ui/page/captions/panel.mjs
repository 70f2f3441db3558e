// The Captions panel: the pictures of a folder with their captions, filtered, edited with undo, and saved.

import { debounced, el, fill, live } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { Autosend } from "./autosend.mjs";
import { CaptionStore } from "./caption_store.mjs";
import { cell, fit } from "./cell.mjs";
import { duplicateSearch } from "./duplicates.mjs";
import { CaptionEditor } from "./editor.mjs";
import { BatchEdits } from "./edits.mjs";
import { FilterBar } from "./filter.mjs";
import { FolderField } from "./folder_field.mjs";
import { Grid } from "./grid.mjs";
import { SidePanels } from "./side_panels.mjs";
import { TaggerPanel } from "./tagger.mjs";
import { TagTable } from "./tag_table.mjs";
import { Toolbar } from "./toolbar.mjs";
import { ViewChoice } from "./view_choice.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionFilter, Say, StoreEvent } from "./types.d.ts" */

const INSTANCE = "dataset.concepts.0.instance";
/** Milliseconds between two looks for what other programs have changed. */
const EVERY = 3000;
/** Milliseconds without another change until the table of tags and the preview of an edit are asked for again. */
const PAUSE = 400;
/** As many files that can't be used are named. */
const NAMED = 5;

/** @param {App} app */
export function captionsPanel(app) {
  return new CaptionsPanel(app);
}

class CaptionsPanel {
  #app;
  #store;
  #autosend;
  /** What is said here doesn't push the grid down, as a sentence above the panel would. */
  #message = el("span.quiet.cap-message", { role: "status", data: { role: "message" } });
  #view = new ViewChoice(() => {
    this.#grid.resize();
    this.#grid.redraw();
  });
  #folder;
  #grid;
  #editor;
  #filter;
  #edits;
  #tagger;
  #table;
  #sides;
  #toolbar;
  #notices = el("div.stack.tight");
  #none = el("p.quiet", { hidden: true }, "No pictures match the filter.");
  #empty = el("section.card.empty", {}, el("p.quiet", {}, "Choose a folder of pictures to see and edit their captions."));
  #tools;
  #work;
  /** The recipe's folder that was opened last: another one there is opened too, as long as the user names none here. */
  #followed = "";

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    const store = (this.#store = new CaptionStore(app));
    const say = this.#say;
    this.#autosend = new Autosend(app, store, { say, settled: () => this.#editor.follow(null) });
    this.#folder = new FolderField(app, (folder) => this.#open(folder));
    this.#grid = this.#makeGrid();
    this.#editor = new CaptionEditor(app, store, this.#autosend, { back: () => this.#grid.focus(), step: (by) => this.#step(by) });
    const duplicates = duplicateSearch(store, (text) => (this.#folder.busy = text || store.busy));
    this.#filter = new FilterBar(store, duplicates, () => this.#table.update());
    this.#edits = new BatchEdits(app, store, say);
    this.#tagger = new TaggerPanel(app, store, say);
    this.#table = new TagTable(app, store, this.#filter, (tag) => this.#rename(tag));
    this.#sides = new SidePanels([
      { name: "editor", label: "Caption", node: this.#editor.node },
      { name: "edits", label: "Edit many", node: this.#edits.node, shown: () => this.#edits.follow() },
      { name: "tags", label: "Tags", node: this.#table.node, shown: () => this.#table.update() },
      { name: "tagger", label: "Automatic", node: this.#tagger.node, shown: () => this.#tagger.shown() },
    ]);
    this.#toolbar = new Toolbar(app, store, this.#autosend, {
      say,
      selectAll: () => this.#selectAll(),
      message: this.#message,
      view: this.#view.nodes,
    });
    this.#tools = el("div.stack.tight", { hidden: true }, this.#toolbar.node, this.#filter.node, live(this.#none));
    this.#work = el("div.cap-work", { hidden: true }, this.#grid.node, this.#sides.node);
    const head = el(
      "section.card.cap-head",
      { "aria-label": "Captions" },
      this.#folder.node,
      this.#folder.problem,
      this.#notices,
      this.#tools,
    );
    this.node = el("div.captions", {}, head, this.#empty, this.#work);
    this.#connect();
    this.#sides.show("editor");
    this.#drawBars();
  }

  #makeGrid() {
    const store = this.#store;
    return new Grid({
      label: "Pictures with their captions",
      build: (id) => {
        const entry = store.entry(id);
        return entry
          ? cell(this.#app, entry, { ...this.#view.value, wanted: this.#filter.wanted, unsent: store.unsent.text(id) })
          : el("div");
      },
      fit: (width) => fit(width, this.#view.value.size),
      selected: (id) => store.selected.has(id),
      act: {
        activate: (id) => store.activate(id),
        select: (ids, on) => store.select(ids, on),
        selectOnly: (ids) => store.selectOnly(ids),
        edit: () => {
          this.#sides.show("editor");
          this.#editor.focus();
        },
      },
    });
  }

  #connect() {
    const handlers = this.#handlers();
    this.#store.listen((event, ids) => handlers[event](ids));
    this.node.addEventListener("keydown", (event) => this.#key(event));
    new Poll({
      ask: () => this.#store.refresh(),
      every: EVERY,
      visible: () => this.#store.opened !== null && this.node.offsetParent !== null,
      over: () => this.#app.over,
    }).start();
    window.addEventListener("focus", () => {
      if (this.node.offsetParent) this.#store.refresh().catch(() => {});
    });
  }

  /**
   * Returns what each event of the store changes here.
   * @returns {Record<StoreEvent, (ids: number[] | null) => void>}
   */
  #handlers() {
    const store = this.#store;
    // The table and the preview are about what is there now: they are asked for again when captions change.
    const updateTable = debounced(() => this.#updateTable(), PAUSE);
    const updateEdits = debounced(() => this.#edits.update(), PAUSE);
    return {
      open: () => {
        this.#begin();
        updateTable();
        if (store.unsent.size) this.#autosend.retry();
      },
      entries: (ids) => {
        this.#grid.redraw(ids);
        this.#editor.follow(ids);
        this.#filter.follow();
        updateTable();
        updateEdits();
        this.#drawBars();
      },
      shown: () => {
        this.#grid.show(store.shown);
        this.#none.hidden = store.shown.length > 0;
        this.#filter.follow();
        this.#edits.follow();
        this.#tagger.follow();
        this.#table.draw();
      },
      selected: () => {
        this.#toolbar.drawSelection();
        this.#edits.follow();
        this.#tagger.follow();
      },
      active: () => {
        this.#editor.show(store.active);
        this.#edits.follow();
      },
      history: () => this.#drawBars(),
      busy: () => (this.#folder.busy = store.busy),
    };
  }

  /** Shows a folder that was just read. */
  #begin() {
    const store = this.#store;
    const any = store.order.length > 0;
    this.#work.hidden = this.#tools.hidden = !any;
    this.#empty.hidden = any;
    fill(this.#empty, el("p.quiet", {}, "There are no pictures in this folder."));
    this.#folder.opened(store.folder);
    this.#message.textContent = "";
    this.#none.hidden = true;
    this.#grid.show(store.shown);
    this.#grid.redraw();
    this.#grid.go(store.active, { focus: false });
    this.#editor.begin(store.active);
    this.#filter.begin();
    this.#filter.follow();
    this.#edits.suggestTrigger();
    this.#edits.follow();
    this.#tagger.begin();
    this.#toolbar.drawSelection();
    this.#drawBars();
  }

  #updateTable() {
    if (this.#work.hidden) return;
    if (this.#table.node.offsetParent) this.#table.update();
    else this.#filter.outdate();
  }

  #drawBars() {
    const { history, problems } = this.#store;
    const more = problems.length - NAMED;
    this.#toolbar.draw();
    fill(
      this.#notices,
      !history.writable && history.why && el("div.notice.warn", { role: "status" }, history.why),
      problems.slice(0, NAMED).map((text) => el("p.advice", {}, text)),
      more > 0 && el("p.help", {}, `${count(more, "more file", "more files")} can't be used.`),
    );
  }

  /** @type {Say} */
  #say = (text, kind = "good") => {
    if (kind === "bad") this.#app.say(text, "bad");
    else this.#message.textContent = text;
  };

  /** @param {string} folder */
  async #open(folder) {
    await this.#store.open(folder, () => this.#autosend.sendAll());
  }

  /** @param {number} by */
  #step(by) {
    const typing = this.#editor.focused;
    this.#grid.go(this.#grid.neighbour(by), { focus: false });
    if (typing) this.#editor.focus();
  }

  /** @param {string} tag */
  #rename(tag) {
    this.#sides.show("edits");
    this.#edits.rename(tag);
  }

  #selectAll() {
    this.#store.selectOnly(this.#store.selected.size ? [] : this.#store.shown);
    this.#grid.remark();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.isComposing) return;
    const key = event.key.toLowerCase();
    if (key === "s" && !event.shiftKey) this.#toolbar.save();
    else if (key === "z" || key === "y") {
      // A field takes back what was typed in it; what the server has is taken back by its history.
      const field = event.target instanceof Element && event.target.matches("textarea, input:not([type=checkbox])");
      if (field && (!this.#editor.focused || this.#editor.typed)) return;
      this.#toolbar.step(key === "y" || event.shiftKey ? "redo" : "undo");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * Opens a folder, as if the user had named it; with a filter, only what passes it is shown.
   * @param {string} folder
   * @param {CaptionFilter} [filter]
   */
  async openFolder(folder, filter = undefined) {
    await this.#folder.open(folder);
    if (!filter || this.#store.opened === null) return;
    await this.#filter.set(filter);
    if (this.#store.shown.length) this.#grid.go(this.#store.shown[0], { focus: false });
  }

  /** Opens the recipe's folder where it is another one than before. */
  shown() {
    const wanted = String(this.#app.draft.get(INSTANCE) ?? "").trim();
    if (wanted && wanted !== this.#followed) {
      this.#followed = wanted;
      this.openFolder(wanted);
    } else this.#grid.resize();
  }
}
