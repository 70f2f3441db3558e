// The comparison of saves in the WebUI's X/Y/Z plot.

import { part } from "../shared/api.mjs";
import { button, el } from "../shared/dom.mjs";
import { conceptPrompts, firstOfEach, linesOf, weightsOf } from "./saves.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { Selection } from "./panel.mjs" */

/**
 * @param {App} app
 * @param {() => Selection} selection
 */
export function xyzSection(app, selection) {
  const prompts = el("textarea.input", { rows: 4, "aria-label": "Prompts, one per line", data: { field: "prompts" } });
  prompts.value = firstOfEach(conceptPrompts(selection().detail.controls))
    .map(({ prompt }) => prompt)
    .join("\n");
  const weights = el("input.input", { type: "text", value: "0.6, 0.8, 1", "aria-label": "Weights", data: { field: "weights" } });
  /** @param {() => { prompts: string[], weights: number[] }} axes */
  const send = (axes) =>
    app.attempt(async () => {
      const body = axes();
      const { run, saves } = selection();
      if (!saves.length) throw new Error("Select at least one save.");
      const { sendToTxt2img } = await import("../shared/webui.mjs");
      /** @type {{ infotext: string }} */
      const { infotext } = await app.api.post(`runs/${part(run)}/handover`, { to: "xyz", saves: saves.map(({ step }) => step), ...body });
      await sendToTxt2img(infotext);
    });
  const byPrompts = () => send(() => ({ prompts: linesOf(prompts.value), weights: [] }));
  const byWeights = () => send(() => ({ prompts: linesOf(prompts.value).slice(0, 1), weights: weightsOf(weights.value) }));
  return el(
    "section.card",
    { "aria-label": "Compare in the X/Y/Z plot" },
    el("h2.title", {}, "Compare in the X/Y/Z plot"),
    el("p.help", {}, "The selected saves are one axis of the plot. Everything is filled in for you in txt2img: press Generate there."),
    el(
      "div.fields",
      {},
      el(
        "div.field",
        {},
        el("span.label", {}, "Prompts, one per line"),
        prompts,
        el("div.row", {}, button("Saves × prompts", byPrompts, { kind: "primary", data: { action: "xyz-prompts" } })),
      ),
      el(
        "div.field",
        {},
        el("span.label", {}, "Weights"),
        weights,
        el("div.row", {}, button("Saves × weights", byWeights, { kind: "primary", data: { action: "xyz-weights" } })),
      ),
    ),
  );
}
