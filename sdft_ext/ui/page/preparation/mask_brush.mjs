// The brush that paints a mask, by mouse, finger or keyboard.

import { el, freshId } from "../shared/dom.mjs";
import { arrowStep } from "./crop_box.mjs";

/** @import { MaskCanvas } from "./mask_canvas.mjs" */
/** @import { Place } from "./types.d.ts" */

/** How far a key moves the brush, as a share of the sides; with Shift four times as far. */
const STEP = 0.02;

export class MaskBrush {
  #mask;
  #changed;
  #size;
  #white = true;
  /** @type {Place} */
  #place = [0.5, 0.5];
  /** Shows the brush's place and size. */
  ring = el("span.mask-ring", { "aria-hidden": "true", hidden: true });

  /**
   * @param {MaskCanvas} mask
   * @param {() => void} changed called when something was painted
   */
  constructor(mask, changed) {
    this.#mask = mask;
    this.#changed = changed;
    const id = freshId("sdft-brush");
    this.#size = el("input.slider", { id, type: "range", min: "1", max: "50", value: "12", data: { action: "mask-size" } });
    this.sizeNode = el("label.row.together", { htmlFor: id }, el("span.quiet", {}, "Size"), this.#size);
    this.#connect(mask.node);
  }

  /** Whether it paints white, what is trained. @param {boolean} white */
  set white(white) {
    this.#white = white;
  }

  /** Its radius in the mask's pixels. */
  get #radius() {
    return (Number(this.#size.value) / 100) * Math.min(this.#mask.node.width, this.#mask.node.height);
  }

  /** @param {HTMLCanvasElement} canvas */
  #connect(canvas) {
    canvas.setAttribute("aria-label", "Mask: arrow keys move the brush, Space paints, [ and ] change its size");
    canvas.setAttribute("role", "application");
    canvas.tabIndex = 0;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      this.#mask.remember();
      this.#place = this.#at(event);
      this.#paint(this.#place);
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = this.#at(event);
      this.#show(place);
      if (canvas.hasPointerCapture(event.pointerId)) this.#paint(place);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, this.#changed);
    for (const end of ["pointerleave", "blur"]) canvas.addEventListener(end, () => this.#show(null));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /**
   * @param {PointerEvent} event
   * @returns {Place}
   */
  #at(event) {
    const area = this.#mask.node.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  }

  /** @param {Place} to */
  #paint(to) {
    this.#mask.stroke(this.#place, to, this.#radius, this.#white);
    this.#place = to;
  }

  /** @param {Place | null} place */
  #show(place) {
    this.ring.hidden = !place;
    if (!place) return;
    const across = (200 * this.#radius) / this.#mask.node.width;
    Object.assign(this.ring.style, { left: `${100 * place[0]}%`, top: `${100 * place[1]}%`, width: `${across}%` });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "z") {
      this.#mask.undo();
      this.#changed();
    } else if (control || event.altKey || !this.#press(event.key, event.shiftKey)) return;
    event.preventDefault();
  }

  /**
   * Does what a key means; returns whether it means anything.
   * @param {string} key
   * @param {boolean} shift
   */
  #press(key, shift) {
    const step = arrowStep(key, shift ? 4 * STEP : STEP);
    const [x, y] = this.#place;
    if (step) this.#place = [Math.min(Math.max(x + step[0], 0), 1), Math.min(Math.max(y + step[1], 0), 1)];
    else if (key === " ") {
      this.#mask.remember();
      this.#paint(this.#place);
      this.#changed();
    } else if (key === "[" || key === "]") this.#size.value = String(Number(this.#size.value) + (key === "]" ? 2 : -2));
    else return false;
    this.#show(this.#place);
    return true;
  }
}
