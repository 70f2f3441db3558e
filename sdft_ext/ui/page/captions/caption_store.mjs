// The captions of one folder, as the server keeps them: what is there, what is shown and selected, and every change in its turn.

import { ApiError } from "../shared/api.mjs";

const KEPT = "sdft.captions.typed";

/** The server has another set than this page: it is opened again. */
const GONE = 409;

export class Book {
  folder = "";
  opened = null;
  revision = 0;
  entries = new Map();
  /** Ids in the order of names, those that pass the filter, and those that are selected. */
  order = [];
  shown = [];
  selected = new Set();
  active = null;
  history = { undo: null, redo: null, unsaved: 0, conflicts: 0, autosave: false, writable: true };
  problems = [];
  concepts = [];
  trigger = "";
  /** The filter that `shown` passes, or null; and whether captions have changed since it was asked. */
  tree = null;
  stale = false;
  busy = "";
  #listeners = [];
  #turn = Promise.resolve();
  #asked = { open: null, filter: null };
  #typed = new Map();

  constructor(app) {
    this.app = app;
  }

  /** `act(what, ids)`: `open`, `entries` (ids, or null for all), `shown`, `selected`, `active`, `history` and `busy`. */
  listen(act) {
    this.#listeners.push(act);
  }

  #tell(what, ids = null) {
    for (const act of this.#listeners) act(what, ids);
  }

  entry(id) {
    return this.entries.get(id);
  }

  /** A request about the opened folder. Where the server was started anew, the folder is opened again first. */
  async ask(path, body = {}, signal = undefined) {
    const opened = this.opened;
    try {
      return await this.#post(path, body, signal);
    } catch (error) {
      if (error.status !== GONE || path === "state" || opened === null) throw error;
      // 409 is also said of an outcome that isn't the one that was shown: only `state` tells the two apart.
      if (await this.#stands(opened)) throw error;
      const before = this.entries;
      await this.open(this.folder);
      if (body.preview) throw new ApiError("The captions were read anew meanwhile: look at the preview again.", GONE);
      const ids = body.ids?.map((id) => this.#again(before.get(id)));
      if (ids?.includes(undefined)) throw error;
      const { revision, since, ...rest } = body;
      const same = (id, i) => this.entries.get(id).caption === before.get(body.ids[i]).caption;
      if (revision !== undefined && revision !== null && !ids.every(same)) throw error;
      return this.#post(path, { ...rest, ...(ids ? { ids } : {}) }, signal);
    }
  }

  #post(path, body, signal) {
    return this.app.api.post(`captions/${path}`, { folder: this.folder, opened: this.opened, ...body }, signal);
  }

  async #stands(opened) {
    try {
      this.#take(await this.#post("state", { since: this.revision }));
      return this.opened === opened;
    } catch (error) {
      if (error.status === GONE) return false;
      throw error;
    }
  }

  /** The id that a picture has now: they are given out anew when a folder is opened again. */
  #again(entry) {
    if (!entry) return undefined;
    for (const [id, one] of this.entries) if (one.name === entry.name) return id;
    return undefined;
  }

  /** Reads a folder's pictures and captions, in as many answers as it takes. Raises ApiError; what was open stays then. */
  async open(folder) {
    this.#asked.open?.abort();
    this.#asked.filter?.abort();
    const asked = (this.#asked.open = new AbortController());
    this.#say("Reading the folder …");
    try {
      const all = [];
      let first = null;
      for (let start = 0; start !== null; ) {
        const found = await this.app.api.post("captions/open", { folder, start }, asked.signal);
        first ??= found;
        if (found.opened !== first.opened) {
          // The set was read anew between two answers.
          all.length = 0;
          first = null;
          start = 0;
          continue;
        }
        all.push(...found.pictures);
        start = found.next;
        if (start !== null) this.#say(`Reading the folder … ${all.length.toLocaleString("en")} of ${found.total.toLocaleString("en")}`);
      }
      const again = first.folder === this.folder;
      const chosen = again ? new Set([...this.selected].map((id) => this.entry(id)?.name)) : new Set();
      const active = again ? this.entry(this.active)?.name : undefined;
      Object.assign(this, { folder: first.folder, opened: first.opened, revision: first.revision, history: first.history, problems: first.problems, concepts: first.concepts, trigger: first.trigger });
      this.entries = new Map(all.map((one) => [one.id, one]));
      this.order = all.map((one) => one.id);
      this.shown = this.order;
      this.tree = null;
      this.stale = false;
      this.selected = new Set(all.filter((one) => chosen.has(one.name)).map((one) => one.id));
      this.active = all.find((one) => one.name === active)?.id ?? this.order[0] ?? null;
      this.#restore();
      this.#tell("open");
      this.#count();
    } finally {
      if (this.#asked.open === asked) this.#say("");
    }
  }

  /** What other programs have written meanwhile. */
  async look() {
    if (this.opened === null || this.busy) return;
    const opened = this.opened;
    try {
      const found = await this.#post("state", { since: this.revision });
      if (this.opened === opened) this.#take(found);
    } catch (error) {
      if (error.status !== GONE) throw error;
      if (this.opened === opened) await this.open(this.folder);
    }
  }

  /** Takes over what has changed: pictures, those that are gone, and the history. */
  #take(found) {
    if (found.revision !== undefined && found.revision < this.revision) return;
    const ids = [];
    let more = false;
    for (const one of found.changed ?? []) {
      const old = this.entries.get(one.id);
      if (old && old.revision > one.revision) continue;
      more ||= !old;
      this.entries.set(one.id, one);
      ids.push(one.id);
    }
    const gone = new Set(found.gone ?? []);
    for (const id of gone) {
      this.entries.delete(id);
      this.selected.delete(id);
    }
    if (more || gone.size) {
      this.order = [...this.entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map((one) => one.id);
      this.shown = this.tree ? this.shown.filter((id) => !gone.has(id)) : this.order;
    }
    if (found.revision !== undefined) this.revision = found.revision;
    if (ids.length && this.tree) this.stale = true;
    const history = JSON.stringify(this.history);
    if (found.history) this.history = found.history;
    if (more || gone.size) this.#tell("shown");
    if (ids.length) this.#tell("entries", ids);
    if (more || gone.size || ids.length || history !== JSON.stringify(this.history)) this.#tell("history");
    if (ids.some((id) => this.entries.get(id).tokens === null)) this.#count(ids);
  }

  /** One change after the other, so that each begins where the last one ended. `make()` gives the request, or null for none. */
  #change(path, make) {
    const turn = this.#turn.then(async () => {
      const opened = this.opened;
      const body = make();
      if (!body) return null;
      const found = await this.ask(path, { since: this.revision, ...body });
      if (opened === this.opened || found.revision >= this.revision) this.#take(found);
      return found;
    });
    this.#turn = turn.then(
      () => {},
      () => {},
    );
    return turn;
  }

  edit(body) {
    return this.#change("edit", () => body);
  }

  undo() {
    return this.#change("undo", () => ({}));
  }

  redo() {
    return this.#change("redo", () => ({}));
  }

  save() {
    return this.#change("save", () => ({}));
  }

  autosave(on) {
    return this.#change("autosave", () => ({ on }));
  }

  resolve(ids, keep) {
    return this.#change("resolve", () => ({ ids, keep }));
  }

  take(body) {
    return this.#change("import", () => ({ ...body, apply: true }));
  }

  // What is typed, until the server has it.

  /** Remembers what stands in the field, in the browser too: neither a failed request nor a reload loses it. */
  typing(id, text) {
    this.#typed.set(id, { text, revision: this.#typed.get(id)?.revision ?? this.entry(id).revision });
    this.#keep();
  }

  typed(id) {
    return this.#typed.get(id)?.text;
  }

  get waiting() {
    return this.#typed.size;
  }

  /** Hands over what was typed. Raises ApiError; the text stays remembered then. */
  async write(id, text) {
    try {
      await this.#change("edit", () => {
        const entry = this.entry(id);
        // An earlier turn may have brought it there.
        if (!entry || entry.caption === text) return null;
        return { ids: [id], edit: { do: "set", text }, revision: this.#typed.get(id)?.revision ?? entry.revision };
      });
    } catch (error) {
      if (error.status === GONE) await this.look();
      throw error;
    }
    if (this.#typed.get(id)?.text === text) this.forget(id);
    else this.over(id);
  }

  forget(id) {
    if (this.#typed.delete(id)) {
      this.#keep();
      this.#tell("entries", [id]);
    }
  }

  /** Goes on from what is there now, whoever wrote it. */
  over(id) {
    if (this.#typed.has(id) && this.entry(id)) this.#typed.get(id).revision = this.entry(id).revision;
  }

  /** What was typed and has not arrived: [id, text]. */
  unsent() {
    return [...this.#typed].map(([id, { text }]) => [id, text]);
  }

  #keep() {
    try {
      const names = [...this.#typed].map(([id, { text }]) => [this.entry(id)?.name, text]).filter(([name]) => name !== undefined);
      if (names.length) localStorage.setItem(KEPT, JSON.stringify({ folder: this.folder, names }));
      else localStorage.removeItem(KEPT);
    } catch {
      // A browser that keeps nothing has the text until the page is closed.
    }
  }

  #restore() {
    this.#typed.clear();
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
      if (kept?.folder !== this.folder) return;
      const texts = new Map(kept.names);
      for (const one of this.entries.values()) {
        const text = texts.get(one.name);
        if (typeof text === "string" && text !== one.caption) this.#typed.set(one.id, { text, revision: one.revision });
      }
    } catch {
      // What is kept can't be read: there is nothing to go on with.
    }
  }

  // What is looked at.

  /** Shows the pictures that pass a filter (null: all); a request that another one follows is ended. */
  async filter(tree) {
    this.#asked.filter?.abort();
    if (tree === null) {
      this.shown = this.order;
    } else {
      const asked = (this.#asked.filter = new AbortController());
      const { ids } = await this.ask("filter", { filter: tree }, asked.signal);
      if (asked.signal.aborted) return;
      this.shown = ids.filter((id) => this.entries.has(id));
    }
    this.tree = tree;
    this.stale = false;
    this.#tell("shown");
  }

  select(ids, on) {
    for (const id of ids) {
      if (on) this.selected.add(id);
      else this.selected.delete(id);
    }
    this.#tell("selected");
  }

  only(ids) {
    this.selected = new Set(ids);
    this.#tell("selected");
  }

  choose(id) {
    if (this.active === id) return;
    this.active = id;
    this.#tell("active");
  }

  /** Ids for a request: `one`, `selected` (as they stand in the folder), or `shown`. */
  ids(which) {
    if (which === "one") return this.active === null ? [] : [this.active];
    if (which === "selected") return this.order.filter((id) => this.selected.has(id));
    return this.shown;
  }

  /** Token counts of these pictures, or of all; the grid shows them when they come. */
  async #count(ids = null) {
    const opened = this.opened;
    try {
      const { counts } = await this.ask("counts", ids ? { ids } : {});
      if (this.opened !== opened) return;
      const now = [];
      for (const [id, tokens] of counts) {
        const entry = this.entries.get(id);
        if (!entry || entry.tokens === tokens) continue;
        entry.tokens = tokens;
        now.push(id);
      }
      if (now.length) this.#tell("entries", now);
    } catch (error) {
      // Without a tokenizer the grid shows no lengths; the caption's own token view says why.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  #say(text) {
    this.busy = text;
    this.#tell("busy");
  }
}
