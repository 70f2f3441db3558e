// Captions that another program changed while they were edited here: both texts side by side, and the user chooses.

import { sentenceOf } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { dialog } from "../shared/dialog.mjs";
import { count } from "../shared/numbers.mjs";
import { changeNode } from "./change_list.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { CaptionStore } from "./caption_store.mjs" */
/** @import { CaptionConflict } from "./types.d.ts" */

/**
 * Shows all conflicts until each is settled or the window is closed.
 * @param {App} app
 * @param {CaptionStore} store
 */
export async function settleConflicts(app, store) {
  /** @type {{ conflicts: CaptionConflict[] }} */
  const { conflicts } = await store.ask("conflicts");
  if (conflicts.length) await dialog(app, "Changed on disk", (close) => conflictList(store, conflicts, () => close(true)), { wide: true });
  else app.say("There are no conflicts.");
}

/**
 * @param {CaptionStore} store
 * @param {CaptionConflict[]} all
 * @param {() => void} done
 */
function conflictList(store, all, done) {
  let conflicts = all;
  const list = el("div.stack");
  const problem = el("p.problem", { role: "alert", hidden: true });
  /** @type {(those: CaptionConflict[], which: "mine" | "theirs") => Promise<void>} */
  const keep = async (those, which) => {
    try {
      await store.resolve(
        those.map((one) => one.id),
        which,
      );
      conflicts = conflicts.filter((one) => !those.includes(one));
      if (!conflicts.length) return done();
      draw();
    } catch (error) {
      problem.textContent = sentenceOf(error);
      problem.hidden = false;
    }
  };
  const draw = () =>
    fill(
      list,
      conflicts.map((one) => conflictNode(one, (which) => keep([one], which))),
    );
  draw();
  return el(
    "div.stack",
    {},
    el(
      "p.help",
      {},
      "Another program changed these files after you started editing their captions. Nothing is lost: Undo brings back the text you don't keep.",
    ),
    all.length > 1 &&
      el(
        "div.row.wrap",
        {},
        el("span", {}, count(all.length, "caption", "captions")),
        el("span.spring"),
        button("Keep all yours", () => keep(conflicts, "mine"), { kind: "small" }),
        button("Use all from disk", () => keep(conflicts, "theirs"), { kind: "small" }),
      ),
    problem,
    list,
  );
}

/**
 * @param {CaptionConflict} conflict
 * @param {(which: "mine" | "theirs") => void} keep
 */
function conflictNode({ name, before, mine, theirs }, keep) {
  return el(
    "section.stack.tight",
    { "aria-label": name, data: { conflict: name } },
    el("h3.subtitle", {}, name),
    el(
      "div.cap-sides",
      {},
      side(
        "Yours",
        versionNode(mine, before),
        button("Keep yours", () => keep("mine"), { kind: "small" }),
      ),
      side(
        "On disk",
        versionNode(theirs, before),
        button("Use the one on disk", () => keep("theirs"), { kind: "small" }),
      ),
    ),
  );
}

/**
 * Shows a text with its changes, where it is known what both texts started from.
 * @param {string | null} text
 * @param {string | null} before
 */
function versionNode(text, before) {
  if (text === null) return el("em.quiet", {}, "The file was deleted.");
  return before === null ? textNode(text) : changeNode(before, text);
}

/** @param {string} text */
function textNode(text) {
  return text || el("em.quiet", {}, "(empty)");
}

/**
 * @param {string} label
 * @param {Node | string} content
 * @param {HTMLElement} choice
 */
function side(label, content, choice) {
  return el("div", {}, el("h3.subtitle", {}, label), el("p.cap-text", {}, content), choice);
}

/**
 * Asks about one caption that changed while it was being typed. Returns `mine`, `theirs`, or null where the window is closed.
 * @param {App} app
 * @param {string} name
 * @param {string} mine
 * @param {string} theirs
 * @returns {Promise<"mine" | "theirs" | null>}
 */
export function chooseText(app, name, mine, theirs) {
  return dialog(
    app,
    "Caption changed",
    (close) =>
      el(
        "div.stack",
        {},
        el("p.help", {}, `The caption of ${name} changed while you were typing.`),
        el(
          "div.cap-sides",
          {},
          side(
            "Your text",
            changeNode(theirs, mine),
            button("Use your text", () => close("mine"), { kind: "small", data: { action: "use-mine" } }),
          ),
          side(
            "Current text",
            textNode(theirs),
            button("Keep the current text", () => close("theirs"), { kind: "small", data: { action: "use-theirs" } }),
          ),
        ),
      ),
    { wide: true },
  );
}
