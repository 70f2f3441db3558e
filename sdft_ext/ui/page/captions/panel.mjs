// The Captions panel: the pictures of a folder with their captions, looked through, filtered, edited with undo, and saved.

import { settle } from "./conflicts.mjs";
import { Book } from "./caption_store.mjs";
import { cell, fit, SIZES } from "./cell.mjs";
import { copiesOf } from "./duplicates.mjs";
import { batchEdits } from "./edits.mjs";
import { exportCaptions, importCaptions } from "./exchange.mjs";
import { filterBar } from "./filter.mjs";
import { Grid } from "./grid.mjs";
import { oneCaption } from "./editor.mjs";
import { taggerSide } from "./tagger.mjs";
import { tagTable } from "./tag_table.mjs";
import { writing } from "./autosend.mjs";
import { button, debounced, el, fill } from "../shared/dom.mjs";
import { chooseFolder } from "../shared/folders.mjs";
import { count } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";

const INSTANCE = "dataset.concepts.0.instance";
const LOOK = 3000;
const KEPT = "sdft.captions.view";

export function captionsPanel(app) {
  const book = new Book(app);
  const view = viewKept();

  // What is said here doesn't push the grid down, as a sentence above the panel would.
  const told = el("span.quiet.cap-told", { role: "status", data: { role: "told" } });
  const say = (text, kind = "good") => {
    if (kind === "bad") app.say(text, "bad");
    else told.textContent = text;
  };
  const attempt = async (act, control = null) => {
    if (control) control.disabled = true;
    try {
      await act();
    } catch (error) {
      if (error.name !== "AbortError") say(error.message, "bad");
    } finally {
      if (control) control.disabled = false;
      bars();
    }
  };

  const write = writing(app, book, { say, arrived: () => one.follow(null) });
  const grid = new Grid({
    label: "Pictures with their captions",
    build: (id) => cell(app, book.entry(id), { ...view, wanted: filter.wanted, typed: book.typed(id) }),
    fit: (width) => fit(width, view.size),
    chosen: (id) => book.selected.has(id),
    act: {
      active: (id) => book.choose(id),
      select: (ids, on) => book.select(ids, on),
      only: (ids) => book.only(ids),
      edit: () => {
        beside("one");
        one.focus();
      },
    },
  });
  const one = oneCaption(app, book, {
    write,
    back: () => grid.focus(),
    step: (by) => {
      const typing = one.focused;
      grid.go(grid.neighbour(by), { focus: false });
      if (typing) one.focus();
    },
  });
  const copies = copiesOf(book, (text) => {
    busy.textContent = text || book.busy;
  });
  const filter = filterBar(app, book, copies, () => table.ask());
  const edits = batchEdits(app, book, say);
  const tagger = taggerSide(app, book, say);
  const table = tagTable(app, book, {
    filter,
    rename: (tag) => {
      beside("edits");
      edits.rename(tag);
    },
  });

  // The folder.
  const folder = el("input.input", { type: "text", spellcheck: "false", autocomplete: "off", "aria-label": "Folder of the pictures", placeholder: "Folder of the pictures", data: { action: "captions-folder" } });
  const browse = button("Browse…", async () => {
    const chosen = await chooseFolder(app, folder.value, "Folder of the pictures");
    if (chosen !== null) open(chosen);
  }, { "aria-label": "Browse for the folder of the pictures", data: { action: "captions-browse" } });
  const reload = button("Open", () => open(folder.value), { data: { action: "captions-open" } });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const busy = el("span.quiet", { role: "status", data: { role: "busy" } });
  /** The folder of the recipe that was opened last: another one there is opened too, as long as the user names none here. */
  let followed = "";

  const open = async (path) => {
    const wanted = path.trim();
    folder.value = wanted;
    if (!wanted) return;
    try {
      await write.all();
      await book.open(wanted);
      problem.hidden = true;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem.textContent = error.message;
      problem.hidden = false;
    }
  };
  folder.addEventListener("keydown", (event) => {
    if (event.key === "Enter") open(folder.value);
  });

  // Saving, and the way back.
  const save = button("Save", () => saveAll(), { kind: "primary", disabled: true, title: "Ctrl-S", data: { action: "captions-save" } });
  const undo = button("Undo", () => attempt(() => step("undo"), undo), { disabled: true, data: { action: "captions-undo" } });
  const redo = button("Redo", () => attempt(() => step("redo"), redo), { disabled: true, data: { action: "captions-redo" } });
  const autosave = el("input", { type: "checkbox", data: { action: "captions-autosave" } });
  autosave.addEventListener("change", async () => {
    await attempt(() => book.autosave(autosave.checked), autosave);
    // What was changed before is written too: from now on the files are as the page shows them.
    if (book.history.autosave && book.history.unsaved) saveAll();
  });
  const conflicts = button("", () => attempt(() => settle(app, book)), { kind: "danger", hidden: true, data: { action: "captions-conflicts" } });
  const saveAll = () =>
    attempt(async () => {
      if (book.opened === null) return;
      if (!(await write.all())) return;
      const found = await book.save();
      const failed = found.failed.map((failure) => failure.text);
      if (failed.length) say(failed.slice(0, 3).join(" "), "bad");
      else say([found.saved ? `${count(found.saved, "caption is", "captions are")} saved.` : "Everything is saved.", ...found.notes].join(" "));
      if (found.conflicts.length) await settle(app, book);
    }, save);
  const step = async (way) => {
    if (book.opened === null || !(await write.all())) return;
    if (!book.history[way]) return say(way === "undo" ? "There is nothing to undo." : "There is nothing to redo.");
    const found = await book[way]();
    say([`${way === "undo" ? "Undone" : "Done again"}: ${found.done}.`, ...found.notes].join(" "));
  };

  // How it looks.
  const views = [["tags", "Tags"], ["text", "Sentences"]].map(([name, label]) => {
    const one_ = el("button", { type: "button", onclick: () => look({ view: name }), data: { view: name } }, label);
    return { name, one: one_ };
  });
  const size = el("select.input.small", { "aria-label": "Size of the pictures", data: { action: "captions-size" } }, Object.keys(SIZES).map((name) => el("option", { value: name, selected: name === view.size }, `${name[0].toUpperCase()}${name.slice(1)} pictures`)));
  size.addEventListener("change", () => look({ size: size.value }));
  const look = (now) => {
    Object.assign(view, now);
    try {
      localStorage.setItem(KEPT, JSON.stringify(view));
    } catch {
      // Without storage the next page begins as this one did.
    }
    for (const { name, one: one_ } of views) one_.setAttribute("aria-pressed", String(name === view.view));
    grid.resize();
    grid.redraw();
  };

  // What stands beside the grid.
  const sides = [["one", "Caption", one.node], ["edits", "Edit many", edits.node], ["tags", "Tags", table.node], ["tagger", "Automatic", tagger.node]].map(([name, label, content]) => {
    const choice = el("button", { type: "button", onclick: () => beside(name), data: { side: name } }, label);
    const place = el("div", { hidden: true }, content);
    return { name, choice, place };
  });
  const beside = (name) => {
    for (const side of sides) {
      side.choice.setAttribute("aria-pressed", String(side.name === name));
      side.place.hidden = side.name !== name;
    }
    if (name === "edits") edits.follow();
    if (name === "tags") table.ask();
    if (name === "tagger") tagger.shown();
  };

  const notices = el("div.stack.tight");
  const bars = () => {
    const { history } = book;
    const any = book.opened !== null;
    const waiting = book.waiting;
    save.disabled = !any || (!history.unsaved && !waiting);
    save.textContent = history.unsaved ? `Save ${history.unsaved.toLocaleString("en")}` : "Save";
    save.setAttribute("aria-label", history.unsaved ? `Save ${count(history.unsaved, "caption", "captions")}` : "Save");
    undo.disabled = !any || !history.undo;
    redo.disabled = !any || !history.redo;
    undo.title = history.undo ? `Undo: ${history.undo} (Ctrl-Z)` : "";
    redo.title = history.redo ? `Redo: ${history.redo} (Ctrl-Y)` : "";
    for (const one_ of [undo, redo]) one_.setAttribute("aria-label", one_.title || one_.textContent);
    autosave.checked = history.autosave;
    autosave.disabled = !any || !history.writable;
    conflicts.hidden = !history.conflicts;
    conflicts.textContent = `${count(history.conflicts, "caption", "captions")} changed on disk …`;
    for (const one_ of [bring, give]) one_.disabled = !any;
    fill(notices, !history.writable && history.why && el("div.notice.warn", { role: "status" }, history.why), book.problems.slice(0, 5).map((text) => el("p.advice", {}, text)), book.problems.length > 5 && el("p.help", {}, `${count(book.problems.length - 5, "more file", "more files")} can't be used.`));
  };
  const bring = button("Import…", () => attempt(() => importCaptions(app, book, say)), { kind: "small", data: { action: "captions-import" } });
  const give = button("Export…", () => attempt(() => exportCaptions(app, book, say)), { kind: "small", data: { action: "captions-export" } });

  const select = button("Select all shown", () => {
    book.only(book.selected.size ? [] : book.shown);
    grid.remark();
  }, { kind: "small", data: { action: "captions-select" } });
  const selection = () => {
    select.textContent = book.selected.size ? `Deselect ${book.selected.size.toLocaleString("en")}` : "Select all shown";
  };

  const work = el(
    "div.cap-work",
    { hidden: true },
    grid.node,
    el("section.card.cap-side", { "aria-label": "Beside the grid" }, el("div.segments.cap-sides-bar", { role: "group", "aria-label": "What stands beside the grid" }, sides.map((side) => side.choice)), sides.map((side) => side.place)),
  );
  const empty = el("section.card.empty", {}, el("p.quiet", {}, "Choose the folder of the pictures whose captions you want to see and edit."));
  const tools = el(
    "div.stack.tight",
    { hidden: true },
    el(
      "div.cap-bar",
      {},
      save,
      undo,
      redo,
      el("label.check", { title: "Every change is written at once" }, autosave, el("span", {}, "Autosave")),
      conflicts,
      told,
      el("span.spring"),
      select,
      bring,
      give,
      size,
      el("div.segments", { role: "group", "aria-label": "How captions are shown" }, views.map((one_) => one_.one)),
    ),
    filter.node,
  );
  const node = el(
    "div.captions",
    {},
    el("section.card.cap-head", { "aria-label": "Captions" }, el("div.cap-bar", {}, el("div.row.together.cap-folder", {}, folder, browse, reload), busy), problem, notices, tools),
    empty,
    work,
  );

  // The table and the preview are about what is there now: they are asked for again when captions change.
  const tableSoon = debounced(() => {
    if (work.hidden) return;
    if (table.node.offsetParent) table.ask();
    else filter.stale();
  }, 400);
  const editsSoon = debounced(() => {
    if (edits.node.offsetParent) edits.look();
  }, 400);
  const handlers = {
    open() {
      work.hidden = tools.hidden = !book.order.length;
      empty.hidden = book.order.length > 0;
      fill(empty, el("p.quiet", {}, "There is no picture in this folder."));
      folder.value = book.folder;
      told.textContent = "";
      grid.show(book.shown);
      grid.redraw();
      grid.go(book.active, { focus: false });
      one.show(book.active);
      filter.begin();
      filter.follow();
      edits.suggest(edits.trigger || book.trigger);
      edits.follow();
      tagger.begin();
      selection();
      bars();
      tableSoon();
      if (book.waiting) write.again();
    },
    entries(ids) {
      grid.redraw(ids);
      one.follow(ids);
      filter.follow();
      tableSoon();
      editsSoon();
      bars();
    },
    shown() {
      grid.show(book.shown);
      filter.follow();
      edits.follow();
      tagger.follow();
      table.draw();
    },
    selected() {
      selection();
      edits.follow();
      tagger.follow();
    },
    active: () => {
      one.show(book.active);
      edits.follow();
    },
    history: bars,
    busy: () => {
      busy.textContent = book.busy;
    },
  };
  book.listen((what, ids) => handlers[what](ids));

  node.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.isComposing) return;
    const key = event.key.toLowerCase();
    if (key === "s" && !event.shiftKey) saveAll();
    else if (key === "z" || key === "y") {
      // A field takes back what was typed in it; what the server has is taken back by its history.
      if (event.target.matches("textarea, input:not([type=checkbox])") && (!one.focused || one.typed)) return;
      attempt(() => step(key === "y" || event.shiftKey ? "redo" : "undo"));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  new Poll({ ask: () => book.look(), every: LOOK, visible: () => book.opened !== null && node.offsetParent !== null, over: () => app.over }).start();
  window.addEventListener("focus", () => {
    if (node.offsetParent) book.look().catch(() => {});
  });
  look({});
  beside("one");
  bars();
  return {
    node,
    book,
    openFolder: open,
    shown() {
      const wanted = String(app.draft.get(INSTANCE) ?? "").trim();
      if (wanted && wanted !== followed) {
        followed = wanted;
        open(wanted);
      } else grid.resize();
    },
  };
}

function viewKept() {
  const start = { view: "tags", size: "medium" };
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    if (kept.view === "tags" || kept.view === "text") start.view = kept.view;
    if (kept.size in SIZES) start.size = kept.size;
  } catch {
    // What is kept can't be read: begin as for the first time.
  }
  return start;
}
