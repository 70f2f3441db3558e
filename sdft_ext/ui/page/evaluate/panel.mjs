// The Evaluate panel: the saves of a run, into txt2img and the X/Y/Z plot, or tried out here where there is no WebUI.

import { part } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { short } from "../shared/numbers.mjs";
import { runMenu, wholeModel } from "../shared/run_widgets.mjs";
import { tryout } from "./tryout.mjs";

/** The column that is drawn without any save. */
export const BASE = "none";

export function evaluatePanel(app) {
  const menu = runMenu(app, "Run", (run) => run.saves > 0, (id) => choose(id));
  const table = el("div");
  const tools = el("div.stack");
  const none = el("p.quiet", {}, "No run has saves yet.");
  const about = el("div.stack", { hidden: true }, el("section.card", { "aria-label": "Saves" }, el("div.row.wrap", {}, el("h2.title", {}, "Saves of"), menu.node), table), tools);
  const node = el("div.stack", {}, none, about);
  let run = null;
  let detail = null;
  /** Steps of the saves to compare, and BASE. */
  let chosen = new Set([BASE]);

  function choose(id) {
    if (id === run && detail) return;
    run = id;
    detail = null;
    follow();
    load();
  }

  async function load() {
    const id = run;
    await app.attempt(async () => {
      const found = await app.api.get(`runs/${part(id)}`);
      if (id !== run) return;
      const before = detail && detail.id === found.id ? new Set(detail.saves.map((save) => save.step)) : null;
      const same = before && before.size === found.saves.length;
      detail = found;
      if (!before) chosen = new Set([BASE, ...spread(found.saves).map((save) => save.step)]);
      if (!same) draw();
    });
  }

  /** At most five saves, evenly spread, the last one among them. */
  function spread(saves) {
    if (saves.length <= 5) return saves;
    return Array.from({ length: 5 }, (_, i) => saves[Math.round((i * (saves.length - 1)) / 4)]);
  }

  const selection = () => ({
    run,
    detail,
    base: chosen.has(BASE),
    saves: detail.saves.filter((save) => chosen.has(save.step)),
  });

  function draw() {
    const mark = (key, label) =>
      el("input", {
        type: "checkbox",
        checked: chosen.has(key),
        "aria-label": label,
        data: { save: String(key) },
        onchange: (event) => {
          if (event.target.checked) chosen.add(key);
          else chosen.delete(key);
        },
      });
    fill(
      table,
      el(
        "div.table-box",
        {},
        el(
          "table.table",
          {},
          el("thead", {}, el("tr", {}, ["", "Save", "Step", "Epoch", "Loss", ""].map((name) => el(["Epoch", "Loss"].includes(name) ? "th.optional" : "th", { scope: "col" }, name)))),
          el(
            "tbody",
            {},
            el(
              "tr",
              {},
              // The X/Y/Z plot always has the base model as its first column.
              el("td", {}, app.can("tryout") && mark(BASE, "Compare without any save")),
              el("td.quiet", { colspan: 5 }, "None: the model as it was"),
            ),
            detail.saves.map((save) =>
              el(
                "tr",
                {},
                el("td", {}, mark(save.step, `Compare ${save.name}`)),
                el("td.save-name", { title: save.file }, save.name),
                el("td", {}, String(save.step)),
                el("td.optional", {}, save.epoch == null ? "" : short(save.epoch)),
                el("td.optional", {}, save.loss == null ? "" : short(save.loss)),
                el(
                  "td",
                  {},
                  el(
                    "div.row.end.wrap",
                    {},
                    app.can("txt2img") && (wholeModel(app.schema, detail.recipe.method) ? useButton(save) : sendButton(save)),
                    preview(save),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
    );
    fill(tools, app.can("xyz") && xyz(), app.can("tryout") && tryout(app, selection));
  }

  const sendButton = (save) => button("Send to txt2img", () => toTxt2img(save), { kind: "small", "aria-label": `Send ${save.name} to txt2img`, data: { action: "txt2img" } });

  function useButton(save) {
    const one = button("Use in txt2img", () =>
      app.attempt(async () => {
        const { useCheckpoint } = await import("../shared/webui.mjs");
        await useCheckpoint(app, run, save);
      }, one), { kind: "small", "aria-label": `Use ${save.name} in txt2img`, data: { action: "use" } });
    return one;
  }

  const toTxt2img = (save) =>
    app.attempt(async () => {
      const { sendToTxt2img } = await import("../shared/webui.mjs");
      const { infotext } = await app.api.post(`runs/${part(run)}/handover`, { to: "txt2img", saves: [save.step] });
      await sendToTxt2img(infotext);
    });

  /** A control picture becomes the picture that the save's card shows. */
  function preview(save) {
    const prompts = (detail.controls?.prompts ?? []).filter((entry) => entry.set === "concept");
    if (!prompts.length) return null;
    const steps = detail.controls.steps;
    const step = steps.includes(save.step) ? save.step : steps.filter((one) => one <= save.step).at(-1) ?? steps[0];
    return button("Use as preview…", async () => {
      const { choosePreview } = await import("./preview.mjs");
      await choosePreview(app, run, save, step, prompts);
    }, { kind: "small", "aria-label": `Choose a preview for ${save.name}`, data: { action: "preview" } });
  }

  function xyz() {
    const prompts = el("textarea.input", { rows: 4, "aria-label": "Prompts, one a line", data: { field: "prompts" } });
    prompts.value = (detail.controls?.prompts ?? []).filter((entry) => entry.set === "concept").map((entry) => entry.prompt).join("\n");
    const weights = el("input.input", { type: "text", value: "0.6, 0.8, 1", "aria-label": "Weights", data: { field: "weights" } });
    const send = (body) =>
      app.attempt(async () => {
        const { saves } = selection();
        if (!saves.length) throw new Error("Mark at least one save.");
        const { sendToTxt2img } = await import("../shared/webui.mjs");
        const { infotext } = await app.api.post(`runs/${part(run)}/handover`, { to: "xyz", saves: saves.map((save) => save.step), ...body });
        await sendToTxt2img(infotext);
      });
    const lines = () => prompts.value.split("\n").map((line) => line.trim()).filter(Boolean);
    const numbers = () => {
      const found = weights.value.split(/[,;\s]+/).filter(Boolean).map(Number);
      if (!found.length || found.some((value) => !Number.isFinite(value))) throw new Error("Write the weights as numbers with commas, such as 0.6, 0.8, 1.");
      return found;
    };
    return el(
      "section.card",
      { "aria-label": "Compare in the X/Y/Z plot" },
      el("h2.title", {}, "Compare in the X/Y/Z plot"),
      el("p.help", {}, "The marked saves along one side. In txt2img everything is filled in: press Generate there."),
      el(
        "div.fields",
        {},
        el("div.field", {}, el("span.label", {}, "Prompts, one a line"), prompts, el("div.row", {}, button("Saves × prompts", () => send({ prompts: lines(), weights: [] }), { kind: "primary", data: { action: "xyz-prompts" } }))),
        el("div.field", {}, el("span.label", {}, "Weights"), weights, el("div.row", {}, button("Saves × weights", () => app.attempt(async () => numbers()).then((fine) => fine && send({ prompts: lines().slice(0, 1), weights: numbers() })), { kind: "primary", data: { action: "xyz-weights" } }))),
      ),
    );
  }

  function follow() {
    const withSaves = app.runs.runs.filter((one) => one.saves > 0);
    none.hidden = withSaves.length > 0;
    about.hidden = withSaves.length === 0;
    if (!withSaves.some((one) => one.id === run)) {
      run = null;
      detail = null;
    }
    if (!run && withSaves.length) {
      run = withSaves[0].id;
      if (!node.parentElement?.hidden) load();
    } else if (run && detail && withSaves.find((one) => one.id === run).saves !== detail.saves.length && !node.parentElement?.hidden) load();
    menu.draw(run);
  }

  app.whenRuns(node, follow);
  follow();
  return {
    node,
    choose,
    shown() {
      follow();
      if (run && !detail) load();
    },
  };
}
