// What the judge makes of a run: the save that it recommends, and why.

import { button, el } from "./dom.mjs";

/** @import { App, LogLine, RunDetail, Save } from "../types.d.ts" */

/**
 * @typedef {object} Verdict
 * @property {string} word what it comes to: "learned", "bleeding" …
 * @property {number} save step of the recommended save
 * @property {string} text
 * @property {string} panel where its advice is followed; "" where the save can be used
 */

/** How each word looks; others are advice. @type {Record<string, string>} */
const LOOKS = { learned: "good", overtrained: "good", learning: "plain" };
/** The panels that a verdict may lead to. @type {Record<string, string>} */
const PANELS = { train: "Open the Train panel", dataset: "Open the Dataset panel" };

/**
 * Returns the newest verdict of a run's log; null before there is one.
 * @param {LogLine[]} marks
 * @returns {Verdict | null}
 */
export function lastVerdict(marks) {
  const line = marks.filter(({ event }) => event === "verdict").at(-1);
  if (!line) return null;
  const { word, save, text, panel } = line;
  return { word: String(word ?? ""), save: Number(save), text: String(text ?? ""), panel: String(panel ?? "") };
}

/**
 * Says how many of a set's control pictures show the concept at a step: "3 of 4"; empty where they weren't judged.
 * @param {LogLine[]} marks
 * @param {number} step
 * @param {"learned" | "bleeding"} name
 */
export function judgedCount(marks, step, name) {
  const share = marks.filter((line) => line.event === "judged" && line.step === step).at(-1)?.[name];
  const [hits, of] = Array.isArray(share) ? share : [0, 0];
  return of ? `${hits} of ${of}` : "";
}

/**
 * Returns the recommended save, where it still exists. None is recommended where nothing is learned.
 * @param {RunDetail} detail
 * @returns {Save | undefined}
 */
export function recommendedSave({ marks, saves }) {
  const verdict = lastVerdict(marks);
  return verdict && verdict.word !== "not learned" ? saves.find(({ step }) => step === verdict.save) : undefined;
}

/**
 * Shows a run's verdict, and the way to follow its advice; null before there is one.
 * @param {App} app
 * @param {RunDetail} detail
 */
export function verdictNode(app, { marks }) {
  const verdict = lastVerdict(marks);
  if (!verdict) return null;
  const { word, text, panel } = verdict;
  return el(
    `div.notice.${LOOKS[word] ?? "warn"}`,
    { role: "status", data: { verdict: word } },
    el("span", {}, text),
    PANELS[panel] && button(PANELS[panel], () => app.show(panel), { kind: "small", data: { action: "follow-verdict" } }),
  );
}
