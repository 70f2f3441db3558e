// Whether the queue may load the base model of a run whose turn comes. It is asked for where a run needs another model.

import { button, el } from "../shared/dom.mjs";
import { otherModel } from "./queue_order.mjs";

/** @import { App } from "../types.d.ts" */

export class BaseModelsChoice {
  #app;
  #text = el("span");
  #input = el("input", { type: "checkbox", data: { action: "load-models" } });
  #offer = el("div.notice.warn", { role: "status", hidden: true, data: { role: "other-model" } }, this.#text, button("Load base models as runs need them", () => this.#allow(true), { kind: "small", data: { action: "allow-models" } }));
  #choice = el("label.check", { title: "The model that you have chosen is loaded again when the queue is empty." }, this.#input, el("span", {}, "Load each run's base model when its turn comes"));
  node = el("div.stack.tight", { hidden: true }, this.#offer, this.#choice);

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#input.addEventListener("change", () => this.#allow(this.#input.checked));
  }

  /** Shows the choice where the queue needs it. */
  draw() {
    const app = this.#app;
    const { loads = false } = app.runs;
    const other = otherModel(app.runs, app.session.host.model?.name ?? "");
    this.node.hidden = !app.can("load") || (!other && !loads);
    this.#offer.hidden = loads || !other;
    this.#choice.hidden = !loads;
    this.#input.checked = loads;
    if (other) this.#text.textContent = `${other.name} trains ${other.base}, which isn't loaded.`;
  }

  /** @param {boolean} load */
  #allow(load) {
    return this.#app.attempt(async () => {
      await this.#app.api.post("queue/models", { load });
      await this.#app.refresh();
    });
  }
}
