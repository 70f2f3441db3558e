// The ways that lead from a rating to what the guide advises: sections, settings, captions, another save.

import { part } from "./api.mjs";
import { button, el, freshId } from "./dom.mjs";
import { earlierSave, wordFilter } from "./ratings.mjs";

/** @import { App, RunDetail } from "../types.d.ts" */
/** @import { RatingKind, RatingLead, Ratings } from "../evaluate/types.d.ts" */

/**
 * @typedef {object} LeadContext
 * @property {string} run
 * @property {Ratings} ratings
 * @property {number} step of the rated pictures
 * @property {string[]} words that may name what is unwanted
 * @property {() => unknown} [leave] called before another panel opens
 */

/**
 * Shows a rating's advice, and a button for each way to follow it.
 * @param {App} app
 * @param {RatingKind} kind
 * @param {LeadContext} context
 */
export function adviceNode(app, kind, context) {
  const word = kind.leads.some((lead) => lead.kind === "captions") ? wordField(context.words) : null;
  return el(
    "div.stack.tight",
    { data: { role: "advice", rating: kind.name } },
    el("p", {}, kind.advice),
    word?.node,
    el("div.row.wrap", {}, kind.leads.map((lead) => leadButton(app, lead, context, word?.input))),
  );
}

/** @param {string[]} words */
function wordField(words) {
  const id = freshId("sdft-word");
  const input = el("input.input.small", { type: "text", value: words.length === 1 ? words[0] : "", list: id, "aria-label": "The word for what is unwanted", placeholder: "hat, watermark …", data: { action: "rating-word" } });
  const node = el("div.row.wrap", {}, el("span", {}, "What is it?"), input, el("datalist", { id }, words.map((value) => el("option", { value }))));
  return { input, node };
}

/**
 * @param {App} app
 * @param {RatingLead} lead
 * @param {LeadContext} context
 * @param {HTMLInputElement} [word]
 */
function leadButton(app, lead, context, word = undefined) {
  const act = () => app.attempt(() => follow(app, lead, context, word), pressed);
  const pressed = button(lead.label, act, { kind: "small", data: { action: "lead", lead: `${lead.kind}:${lead.target}` } });
  return pressed;
}

/** @param {App} app @param {RatingLead} lead @param {LeadContext} context @param {HTMLInputElement} [word] */
async function follow(app, { kind, target }, context, word) {
  const { run, ratings, step, leave = () => {} } = context;
  if (kind === "captions") {
    if (!word?.value.trim()) {
      word?.focus();
      throw new Error("Enter the word for what is unwanted first.");
    }
    if (!ratings.folders.length) throw new Error("The run's recipe names no folder of pictures.");
    leave();
    app.showCaptions(ratings.folders[0], wordFilter(word.value, target));
  } else if (kind === "save") {
    /** @type {RunDetail} */
    const { saves } = await app.api.get(`runs/${part(run)}`);
    const found = target === "earlier" ? earlierSave(saves, step) : saves.find((save) => save.step === ratings.recommended);
    if (!found) throw new Error(target === "earlier" ? `There is no save before step ${step}.` : "No save is recommended yet.");
    leave();
    app.evaluate(run, found.step);
  } else {
    leave();
    if (kind === "section") app.showDataset(target);
    else app.showSetting(target);
  }
}
