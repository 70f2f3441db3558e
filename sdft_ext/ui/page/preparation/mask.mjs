// A window to paint a picture's mask in: white is trained, black isn't. It is stored next to the picture, as training reads it.

import { sentenceOf } from "../shared/api.mjs";
import { confirm, dialog } from "../shared/dialog.mjs";
import { button, el } from "../shared/dom.mjs";
import { MaskBrush } from "./mask_brush.mjs";
import { MaskCanvas } from "./mask_canvas.mjs";
import { maskSummary } from "./mask_pixels.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { MaskResponse } from "./types.d.ts" */

/** Side of the picture that is painted on [pixels]. */
const SIDE = 512;

/**
 * Lets the user paint a picture's mask. Returns whether it was changed.
 * @param {App} app
 * @param {string} folder
 * @param {string} name
 */
export async function paintMask(app, folder, name) {
  /** @type {MaskResponse | null} */
  let stored = null;
  await app.attempt(async () => (stored = await app.api.get("preparation/mask", { folder, name })));
  const found = /** @type {MaskResponse | null} */ (stored);
  if (!found) return false;
  const mask = new MaskCanvas(found.width, found.height);
  if (found.mask) await mask.load(found.mask);
  /** @type {boolean | null} */
  const changed = await dialog(app, `Mask of ${name}`, (close) => new MaskWindow(app, folder, found, mask, close).node, { wide: true });
  return changed === true;
}

class MaskWindow {
  #app;
  #folder;
  #stored;
  #mask;
  #close;
  #brush;
  #summary = el("p.help", { role: "status" });
  #problem = el("p.problem", { role: "alert", hidden: true });
  #tools = [
    button("Brush", () => this.#choose(true), { kind: "small", data: { action: "mask-brush" } }),
    button("Eraser", () => this.#choose(false), { kind: "small", data: { action: "mask-eraser" } }),
  ];
  #undo = button("Undo", () => this.#change(() => this.#mask.undo()), { kind: "small", data: { action: "mask-undo" } });
  #save = button("Save the mask", () => this.#store(), { kind: "primary", data: { action: "mask-save" } });

  /**
   * @param {App} app
   * @param {string} folder
   * @param {MaskResponse} stored
   * @param {MaskCanvas} mask
   * @param {(changed?: boolean) => void} close
   */
  constructor(app, folder, stored, mask, close) {
    this.#app = app;
    this.#folder = folder;
    this.#stored = stored;
    this.#mask = mask;
    this.#close = close;
    this.#brush = new MaskBrush(mask, () => this.#follow());
    const { width, height, picture, version } = stored;
    this.node = el(
      "div.stack.mask-window",
      {},
      this.#bar(),
      el(
        "div.mask-stage",
        { style: `aspect-ratio: ${width} / ${height}; --sdft-mask-share: ${width / height}` },
        el("img", { src: app.api.url(picture, { side: SIDE }), alt: "", draggable: "false" }),
        mask.node,
        this.#brush.ring,
      ),
      this.#summary,
      this.#problem,
      el(
        "div.row.end.wrap",
        {},
        version && button("Remove the mask", (event) => this.#remove(event), { kind: "danger", data: { action: "mask-remove" } }),
        button("Cancel", () => close(), {}),
        this.#save,
      ),
    );
    this.#choose(true);
    this.#follow();
  }

  #bar() {
    const mask = this.#mask;
    return el(
      "div.row.wrap",
      {},
      el("div.row.together", { role: "group", "aria-label": "Tool" }, this.#tools),
      this.#brush.sizeNode,
      el("span.spring"),
      this.#undo,
      button("Invert", () => this.#change(() => mask.invert()), { kind: "small", data: { action: "mask-invert" } }),
      button("Clear", () => this.#change(() => mask.clear(false)), {
        kind: "small",
        title: "Nothing is trained",
        data: { action: "mask-clear" },
      }),
      button("Fill", () => this.#change(() => mask.clear(true)), {
        kind: "small",
        title: "The whole picture is trained",
        data: { action: "mask-fill" },
      }),
      this.#stored.alpha &&
        button("From transparency", (event) => this.#fromAlpha(event), { kind: "small", data: { action: "mask-alpha" } }),
    );
  }

  /** @param {boolean} white brush or eraser */
  #choose(white) {
    this.#brush.white = white;
    this.#tools.forEach((tool, number) => tool.setAttribute("aria-pressed", String((number === 0) === white)));
  }

  /** @param {() => void} act */
  #change(act) {
    act();
    this.#follow();
  }

  #follow() {
    const share = this.#mask.share();
    this.#undo.disabled = !this.#mask.canUndo;
    this.#save.disabled = share === 0;
    this.#summary.textContent = maskSummary(share);
  }

  /**
   * Does something that may fail; its sentence is shown here, as the page's own message lies behind this window.
   * @param {() => Promise<void>} act
   * @param {EventTarget | null} pressed disabled meanwhile
   */
  async #attempt(act, pressed) {
    const control = pressed instanceof HTMLButtonElement ? pressed : null;
    this.#problem.hidden = true;
    if (control) control.disabled = true;
    try {
      await act();
    } catch (error) {
      this.#problem.textContent = sentenceOf(error);
      this.#problem.hidden = false;
    }
    if (control) control.disabled = false;
  }

  /** @param {string | null} data a PNG's data URL; null removes the mask */
  async #put(data) {
    const { name, version } = this.#stored;
    await this.#app.api.post("preparation/mask", { folder: this.#folder, name, mask: data, before: version });
    this.#close(true);
  }

  async #store() {
    await this.#attempt(() => this.#put(this.#mask.data()), this.#save);
    this.#follow();
  }

  /** @param {MouseEvent} event */
  async #remove(event) {
    const { target } = event;
    const text = `Training will use the whole of ${this.#stored.name}. A copy of the mask is kept in the folder's .sdft/masks.`;
    if (await confirm(this.#app, "Remove the mask", text, "Remove")) await this.#attempt(() => this.#put(null), target);
  }

  /** @param {MouseEvent} event */
  async #fromAlpha(event) {
    await this.#attempt(async () => {
      /** @type {MaskResponse} */
      const found = await this.#app.api.get("preparation/mask", { folder: this.#folder, name: this.#stored.name, alpha: true });
      this.#mask.remember();
      await this.#mask.load(found.mask);
    }, event.target);
    this.#follow();
  }
}
