// The table of a run's saves: marked to be compared, sent to txt2img, given a preview.

import { continueFrom, continueSetting } from "../shared/continue.mjs";
import { button, el } from "../shared/dom.mjs";
import { short } from "../shared/numbers.mjs";
import { wholeModel } from "../shared/run_widgets.mjs";
import { lastVerdict, recommendedSave } from "../shared/verdict.mjs";
import { deletedSaves, deleteButton } from "./deleted.mjs";
import { savePictures } from "./save_pictures.mjs";
import { BASE, conceptPrompts, previewStep } from "./saves.mjs";

/** @import { App, RunDetail, Save } from "../types.d.ts" */

/** Columns; those without a place on a phone are optional, and some titles are only for screen readers. */
const COLUMNS = ["Compare", "Save", "Step", "Epoch", "Loss", "Actions"];
const OPTIONAL = ["Epoch", "Loss"];
const SPOKEN = ["Compare", "Actions"];

export class SavesTable {
  #app;
  #run;
  #detail;
  /** Steps of the saves to compare, and BASE. */
  #chosen;
  #changed;
  #rated;

  /**
   * @param {App} app
   * @param {string} run
   * @param {RunDetail} detail
   * @param {Set<string | number>} chosen steps of the saves to compare, and BASE; changed here
   * @param {() => unknown} changed called when a save was deleted or restored
   * @param {() => unknown} rated called when a control picture was rated
   */
  constructor(app, run, detail, chosen, changed, rated) {
    this.#app = app;
    this.#run = run;
    this.#detail = detail;
    this.#chosen = chosen;
    this.#changed = changed;
    this.#rated = rated;
    const heads = COLUMNS.map((name) => el(OPTIONAL.includes(name) ? "th.optional" : "th", { scope: "col" }, SPOKEN.includes(name) ? el("span.spoken", {}, name) : name));
    const rows = [this.#baseRow(), this.#picturesRow(0), ...detail.saves.flatMap((save) => [this.#row(save), this.#picturesRow(save.step)])];
    const table = el("table.table.saves", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows));
    this.node = el("div.stack", {}, el("div.table-box", {}, table), deletedSaves(app, detail, changed));
  }

  #baseRow() {
    return el(
      "tr",
      {},
      // The X/Y/Z plot always has the base model as its first column.
      el("td", {}, this.#app.can("tryout") && this.#box(BASE, "Compare without any save")),
      el("td.quiet", { colspan: 5 }, "None: the base model"),
    );
  }

  /**
   * Shows the control pictures below a save's line; null where there are none.
   * @param {number} step of the save; 0 for the base model
   */
  #picturesRow(step) {
    const pictures = savePictures(this.#app, this.#detail, step, this.#rated);
    return pictures && el("tr.pictures-row", {}, el("td"), el("td", { colspan: COLUMNS.length - 1 }, pictures));
  }

  /** @param {Save} save */
  #row(save) {
    const { name, file, step, epoch, loss } = save;
    const whole = wholeModel(this.#app.schema, this.#detail.recipe.method);
    const use = this.#app.can("txt2img") && (whole ? this.#useButton(save) : this.#sendButton(save));
    return el(
      "tr",
      {},
      el("td", {}, this.#box(step, `Compare ${name}`)),
      el("td.save-name", { title: file }, name, " ", this.#recommended(step)),
      el("td", {}, String(step)),
      el("td.optional", {}, epoch == null ? "" : short(epoch)),
      el("td.optional", {}, loss == null ? "" : short(loss)),
      el("td", {}, el("div.row.end.wrap", {}, use, this.#previewButton(save), this.#continueButton(save), deleteButton(this.#app, this.#run, save, this.#changed))),
    );
  }

  /**
   * Marks the save that the judge recommends.
   * @param {number} step
   */
  #recommended(step) {
    const chosen = recommendedSave(this.#detail)?.step === step;
    return chosen && el("span.badge", { data: { role: "recommended" }, title: lastVerdict(this.#detail.marks)?.text }, "Recommended");
  }

  /**
   * @param {string | number} key
   * @param {string} label
   */
  #box(key, label) {
    const box = el("input", { type: "checkbox", checked: this.#chosen.has(key), "aria-label": label, data: { save: String(key) } });
    box.addEventListener("change", () => {
      if (box.checked) this.#chosen.add(key);
      else this.#chosen.delete(key);
    });
    return box;
  }

  /** @param {Save} save */
  #sendButton(save) {
    const send = () =>
      this.#app.attempt(async () => {
        const { sendSave } = await import("../shared/webui.mjs");
        await sendSave(this.#app, this.#run, save);
      });
    return button("Send to txt2img", send, { kind: "small", "aria-label": `Send ${save.name} to txt2img`, data: { action: "txt2img" } });
  }

  /** @param {Save} save */
  #useButton(save) {
    const use = () =>
      this.#app.attempt(async () => {
        const { useCheckpoint } = await import("../shared/webui.mjs");
        await useCheckpoint(this.#app, this.#run, save);
      }, pressed);
    const pressed = button("Use in txt2img", use, { kind: "small", "aria-label": `Use ${save.name} in txt2img`, data: { action: "use" } });
    return pressed;
  }

  /**
   * Makes the button for a new run that goes on from a save; null where its method can't.
   * @param {Save} save
   */
  #continueButton(save) {
    if (!continueSetting(this.#app.schema, this.#detail.recipe.method.name)) return null;
    const act = () => this.#app.attempt(() => continueFrom(this.#app, this.#run, save), pressed);
    const title = `Continue from ${save.name} with other pictures`;
    const pressed = button("Continue…", act, { kind: "small", title, "aria-label": title, data: { action: "continue" } });
    return pressed;
  }

  /**
   * Makes the button that chooses a control picture for the save's card; null where there is none.
   * @param {Save} save
   */
  #previewButton(save) {
    const prompts = conceptPrompts(this.#detail.controls);
    if (!prompts.length) return null;
    const choose = async () => {
      const { choosePreview } = await import("./preview.mjs");
      await choosePreview(this.#app, { run: this.#run, save, step: previewStep(this.#detail.controls.steps, save.step), prompts });
    };
    return button("Use as preview…", choose, {
      kind: "small",
      "aria-label": `Use as preview of ${save.name}`,
      data: { action: "preview" },
    });
  }
}
