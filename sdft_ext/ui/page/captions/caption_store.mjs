// The captions of one folder, as the server has them: which there are, which are shown and selected, and every change in its turn.

import { ApiError } from "../shared/api.mjs";
import { idsByName, mergeChanges, mergeTokens, renewRequest } from "./caption_merge.mjs";
import { FolderReader } from "./folder_reading.mjs";
import { UnsentTexts } from "./unsent_texts.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionedPicture, CaptionHistory, CaptionRequest, ConceptCount, Edit, Entries, FilterTree, StoreEvent, Target } from "./types.d.ts" */
/** @import { ChangedResponse, EditResponse, OpenResponse, SaveResponse, StepResponse } from "./types.d.ts" */

/** The server has reloaded the folder, or a caption has changed meanwhile. */
const CONFLICT = 409;

export class CaptionStore {
  folder = "";
  /** @type {string | null} */
  opened = null;
  revision = 0;
  /** @type {Entries} */
  entries = new Map();
  /**
   * Ids in the order of names, those that pass the filter, and those that are selected.
   * @type {number[]}
   */
  order = [];
  /** @type {number[]} */
  shown = [];
  /** @type {Set<number>} */
  selected = new Set();
  /** @type {number | null} */
  active = null;
  /** @type {CaptionHistory} */
  history = { undo: null, redo: null, unsaved: 0, conflicts: 0, autosave: false, writable: true };
  /** @type {string[]} */
  problems = [];
  /** @type {ConceptCount[]} */
  concepts = [];
  trigger = "";
  /**
   * The filter that `shown` passes, or null; and whether captions have changed since it was applied.
   * @type {FilterTree | null}
   */
  tree = null;
  stale = false;
  busy = "";
  unsent = new UnsentTexts();
  /** @type {((event: StoreEvent, ids: number[] | null) => void)[]} */
  #listeners = [];
  /** @type {Promise<void>} */
  #turn = Promise.resolve();
  /** @type {AbortController | null} */
  #filtering = null;
  #reader;

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.#reader = new FolderReader(app, {
      busy: (text) => this.#setBusy(text),
      show: ({ first, pictures }) => this.#replace(first, pictures),
    });
  }

  /**
   * Calls `act(event, ids)` at each change; `ids` are those of `entries`, or null for all.
   * @param {(event: StoreEvent, ids: number[] | null) => void} act
   */
  listen(act) {
    this.#listeners.push(act);
  }

  /**
   * @param {StoreEvent} event
   * @param {number[] | null} ids
   */
  #notify(event, ids = null) {
    for (const act of this.#listeners) act(event, ids);
  }

  /** @param {number} id */
  entry(id) {
    return this.entries.get(id);
  }

  /**
   * Sends a request about the open folder. Where the server was restarted, the folder is reopened first. Raises ApiError.
   * @template [T=unknown]
   * @param {string} path
   * @param {CaptionRequest} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async ask(path, body = {}, signal = undefined) {
    const opened = this.opened;
    try {
      return await this.#post(path, body, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== CONFLICT || opened === null) throw error;
      // 409 also means that an outcome isn't the previewed one: only `state` tells the two apart.
      if (await this.#isOpen(opened)) throw error;
      const before = this.entries;
      await this.#reader.again(this.folder);
      if (body.preview) throw new ApiError("The captions have been reloaded: check the preview again.", CONFLICT);
      const renewed = renewRequest(body, before, this.entries);
      if (!renewed) throw error;
      return this.#post(path, renewed, signal);
    }
  }

  /**
   * @template [T=unknown]
   * @param {string} path
   * @param {object} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  #post(path, body, signal) {
    return this.app.api.post(`captions/${path}`, { folder: this.folder, opened: this.opened, ...body }, signal);
  }

  /** @returns {Promise<ChangedResponse>} */
  #state() {
    return this.#post("state", { since: this.revision });
  }

  /** @param {string} opened */
  async #isOpen(opened) {
    try {
      this.#merge(await this.#state());
      return this.opened === opened;
    } catch (error) {
      if (error instanceof ApiError && error.status === CONFLICT) return false;
      throw error;
    }
  }

  /**
   * Opens a folder. What is changed in the open one meanwhile reaches it first. Raises ApiError; what was open stays open then.
   * @param {string} folder
   * @param {() => Promise<unknown>} [leave] sends what is typed in the folder that is left
   */
  async open(folder, leave = async () => {}) {
    await this.#reader.open(folder, async () => {
      /** @type {Promise<void> | null} */
      let turn = null;
      while (turn !== this.#turn) {
        await leave();
        await (turn = this.#turn);
      }
    });
  }

  /**
   * Takes over a folder that was read. In the same folder, selected pictures stay selected and the active one active.
   * @param {OpenResponse} first
   * @param {CaptionedPicture[]} pictures
   */
  #replace(first, pictures) {
    this.#filtering?.abort();
    const again = first.folder === this.folder;
    const chosen = again ? new Set([...this.selected].map((id) => this.entry(id)?.name)) : new Set();
    const active = again && this.active !== null ? this.entry(this.active)?.name : undefined;
    const { folder, opened, revision, history, problems, concepts, trigger } = first;
    Object.assign(this, { folder, opened, revision, history, problems, concepts, trigger });
    this.entries = new Map(pictures.map((entry) => [entry.id, entry]));
    this.order = pictures.map((entry) => entry.id);
    this.shown = this.order;
    this.tree = null;
    this.stale = false;
    this.selected = new Set(pictures.filter((entry) => chosen.has(entry.name)).map((entry) => entry.id));
    this.active = pictures.find((entry) => entry.name === active)?.id ?? this.order[0] ?? null;
    this.unsent.restore(this.folder, this.entries);
    this.#notify("open");
    this.#countTokens();
  }

  /** Asks what other programs have changed. Raises ApiError. */
  async refresh() {
    if (this.opened === null || this.busy) return;
    const opened = this.opened;
    try {
      const found = await this.#state();
      if (this.opened === opened) this.#merge(found);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== CONFLICT) throw error;
      if (this.opened === opened) await this.#reader.again(this.folder);
    }
  }

  /**
   * Takes over what has changed: pictures, those that are gone, and the history.
   * @param {Partial<ChangedResponse>} found
   */
  #merge(found) {
    if (found.revision !== undefined && found.revision < this.revision) return;
    const { ids, added, gone } = mergeChanges(this.entries, found);
    const others = added || gone.size > 0;
    for (const id of gone) this.selected.delete(id);
    if (others) {
      this.order = idsByName(this.entries);
      this.shown = this.tree ? this.shown.filter((id) => !gone.has(id)) : this.order;
    }
    if (found.revision !== undefined) this.revision = found.revision;
    if (ids.length && this.tree) this.stale = true;
    const history = JSON.stringify(this.history);
    if (found.history) this.history = found.history;
    if (others) this.#notify("shown");
    if (ids.length) this.#notify("entries", ids);
    if (others || ids.length || history !== JSON.stringify(this.history)) this.#notify("history");
    if (ids.some((id) => this.entry(id)?.tokens === null)) this.#countTokens(ids);
  }

  /**
   * Makes one change after the other, so that each begins where the last one ended. `make()` gives the request, or null for none.
   * @template {ChangedResponse} T
   * @param {string} path
   * @param {() => CaptionRequest | null} make
   * @returns {Promise<T | null>}
   */
  #change(path, make) {
    const turn = this.#turn.then(async () => {
      const opened = this.opened;
      const body = make();
      if (!body) return null;
      /** @type {T} */
      const found = await this.ask(path, { since: this.revision, ...body });
      if (opened === this.opened || found.revision >= this.revision) this.#merge(found);
      return found;
    });
    this.#turn = turn.then(
      () => {},
      () => {},
    );
    return turn;
  }

  /** @param {CaptionRequest & { edit: Edit }} body */
  edit(body) {
    return /** @type {Promise<EditResponse>} */ (this.#change("edit", () => body));
  }

  /** @param {"undo" | "redo"} way */
  step(way) {
    return /** @type {Promise<StepResponse>} */ (this.#change(way, () => ({})));
  }

  save() {
    return /** @type {Promise<SaveResponse>} */ (this.#change("save", () => ({})));
  }

  /** @param {boolean} on */
  autosave(on) {
    return this.#change("autosave", () => ({ on }));
  }

  /**
   * Settles conflicts with the text edited here (`mine`) or the one on disk (`theirs`).
   * @param {number[]} ids
   * @param {"mine" | "theirs"} keep
   */
  resolve(ids, keep) {
    return this.#change("resolve", () => ({ ids, keep }));
  }

  /** @param {CaptionRequest} body of an import's preview */
  importCaptions(body) {
    return /** @type {Promise<EditResponse>} */ (this.#change("import", () => ({ ...body, apply: true })));
  }

  // What is typed, until the server has it.

  /**
   * Remembers what stands in the caption's field.
   * @param {number} id
   * @param {string} text
   */
  keepUnsent(id, text) {
    this.unsent.set(id, text, this.entry(id)?.revision ?? 0);
    this.unsent.keep(this.folder, this.entries);
  }

  /**
   * Sends what was typed. Raises ApiError; the text stays remembered then.
   * @param {number} id
   * @param {string} text
   */
  async send(id, text) {
    try {
      await this.#change("edit", () => {
        const entry = this.entry(id);
        // An earlier turn may have brought it there.
        if (!entry || entry.caption === text) return null;
        return { ids: [id], edit: { do: "set", text }, revision: this.unsent.revision(id) ?? entry.revision };
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === CONFLICT) await this.refresh();
      throw error;
    }
    if (this.unsent.text(id) === text) this.forgetUnsent(id);
    else this.rebaseUnsent(id);
  }

  /** @param {number} id */
  forgetUnsent(id) {
    if (!this.unsent.delete(id)) return;
    this.unsent.keep(this.folder, this.entries);
    this.#notify("entries", [id]);
  }

  /**
   * Takes the caption that is there now, whoever wrote it, as the one that was typed over.
   * @param {number} id
   */
  rebaseUnsent(id) {
    const entry = this.entry(id);
    if (entry) this.unsent.rebase(id, entry.revision);
  }

  // What is shown and selected.

  /**
   * Shows the pictures that pass a filter (null: all), and aborts an earlier request for one. Raises ApiError.
   * @param {FilterTree | null} tree
   */
  async filter(tree) {
    this.#filtering?.abort();
    if (tree === null) {
      this.shown = this.order;
    } else {
      const { signal } = (this.#filtering = new AbortController());
      /** @type {{ ids: number[] }} */
      const { ids } = await this.ask("filter", { filter: tree }, signal);
      if (signal.aborted) return;
      this.shown = ids.filter((id) => this.entries.has(id));
    }
    this.tree = tree;
    this.stale = false;
    this.#notify("shown");
  }

  /**
   * @param {number[]} ids
   * @param {boolean} on
   */
  select(ids, on) {
    for (const id of ids) {
      if (on) this.selected.add(id);
      else this.selected.delete(id);
    }
    this.#notify("selected");
  }

  /** @param {number[]} ids */
  selectOnly(ids) {
    this.selected = new Set(ids);
    this.#notify("selected");
  }

  /** @param {number | null} id */
  activate(id) {
    if (this.active === id) return;
    this.active = id;
    this.#notify("active");
  }

  /**
   * Returns the ids for a request, in the order of the folder.
   * @param {Target} target
   */
  ids(target) {
    if (target === "active") return this.active === null ? [] : [this.active];
    if (target === "selected") return this.order.filter((id) => this.selected.has(id));
    return this.shown;
  }

  /**
   * Asks for the token counts of these pictures, or of all.
   * @param {number[] | null} ids
   */
  async #countTokens(ids = null) {
    const opened = this.opened;
    try {
      /** @type {{ counts: [number, number][] }} */
      const { counts } = await this.ask("counts", ids ? { ids } : {});
      if (this.opened !== opened) return;
      const changed = mergeTokens(this.entries, counts);
      if (changed.length) this.#notify("entries", changed);
    } catch (error) {
      // Without a tokenizer the grid shows no lengths; the caption's token view says why.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** @param {string} text */
  #setBusy(text) {
    this.busy = text;
    this.#notify("busy");
  }
}
