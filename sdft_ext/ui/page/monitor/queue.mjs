// Runs that wait: their order can be changed with buttons or by dragging. Hidden where none does.

import { button, el, keyed } from "../shared/dom.mjs";
import { BaseModelsChoice } from "./base_models.mjs";
import { jobPath } from "../shared/run_widgets.mjs";
import { moved, queueItems } from "./queue_order.mjs";

/** @import { App } from "../types.d.ts" */

export class QueueList {
  #app;
  #list = el("ol.queue", { "aria-label": "Waiting runs" });
  #afterRestart = el(
    "div.notice.warn",
    { role: "status" },
    el("span", {}, "The program was restarted. Queued runs start when you press Resume."),
    button("Resume", () => this.#post(`${jobPath(this.#app.runs.queue[0])}/resume`), { kind: "small", data: { action: "release" } }),
  );
  #models;
  #drawing = el("p.help", { role: "status", hidden: true });
  /** The id of the run that is dragged. @type {string | null} */
  #dragged = null;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#models = new BaseModelsChoice(app);
    this.node = el("section.card", { "aria-label": "Queue", hidden: true }, el("h2.title", {}, "Queue"), this.#afterRestart, this.#models.node, this.#drawing, this.#list);
    app.whenRuns(this.node, () => this.#draw());
    this.#draw();
  }

  /**
   * @param {string} path
   * @param {object} [body]
   */
  #post(path, body) {
    return this.#app.attempt(async () => {
      await this.#app.api.post(path, body);
      await this.#app.refresh();
    });
  }

  /**
   * @param {string} id
   * @param {number} place
   */
  #move(id, place) {
    this.#post("queue", { ids: moved(this.#app.runs.queue, id, place) });
  }

  #draw() {
    const { runs, queue, drawing, titles = {}, held } = this.#app.runs;
    this.#drawing.hidden = !drawing;
    this.#drawing.textContent = drawing ? `Drawing now: ${titles[drawing] ?? drawing}` : "";
    keyed(
      this.#list,
      queueItems(queue, runs, titles),
      ({ id }) => id,
      (item) => this.#item(item),
    );
    this.#models.draw();
    this.node.hidden = queue.length === 0 && !drawing && this.#models.node.hidden;
    this.#afterRestart.hidden = !(held && queue.length > 0);
  }

  /** @param {{ id: string, name: string, method: string, number: number, last: boolean }} item */
  #item({ id, name, method, number, last }) {
    const item = el(
      "li.queue-item",
      { draggable: "true", data: { run: id } },
      el("span.grip", { "aria-hidden": "true" }, "⠿"),
      el("span.queue-name", {}, name),
      el("span.help", {}, method),
      el("span.spring"),
      button("↑", () => this.#move(id, number - 1), {
        kind: "icon",
        disabled: number === 0,
        "aria-label": `Move ${name} up`,
        data: { action: `up-${id}` },
      }),
      button("↓", () => this.#move(id, number + 1), {
        kind: "icon",
        disabled: last,
        "aria-label": `Move ${name} down`,
        data: { action: `down-${id}` },
      }),
      button("Remove", () => this.#post(`${jobPath(id)}/stop`), {
        kind: "small",
        "aria-label": `Remove ${name} from the queue`,
        data: { action: `out-${id}` },
      }),
    );
    this.#makeDraggable(item, id, name, number);
    return item;
  }

  /**
   * @param {HTMLElement} item
   * @param {string} id
   * @param {string} name
   * @param {number} number
   */
  #makeDraggable(item, id, name, number) {
    item.addEventListener("dragstart", (event) => {
      this.#dragged = id;
      if (!event.dataTransfer) return;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", name);
    });
    item.addEventListener("dragover", (event) => {
      if (!this.#dragged || this.#dragged === id) return;
      event.preventDefault();
      item.classList.add("sdft-over");
    });
    item.addEventListener("dragleave", () => item.classList.remove("sdft-over"));
    item.addEventListener("dragend", () => (this.#dragged = null));
    item.addEventListener("drop", (event) => {
      event.preventDefault();
      item.classList.remove("sdft-over");
      if (this.#dragged && this.#dragged !== id) this.#move(this.#dragged, number);
      this.#dragged = null;
    });
  }
}
