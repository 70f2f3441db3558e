// One picture with the parts that are cut out of it drawn on; a single one is moved by mouse, finger or keyboard.

import { debounced, el } from "../shared/dom.mjs";
import { arrowStep, CropBox } from "./crop_box.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { Box, Crop, PlannedPicture } from "./types.d.ts" */

/** How far a key moves a crop, and with Shift, as shares of the sides. */
const STEP = 0.01;
const FAR = 0.1;
const ZOOM = 1.1;
/** Milliseconds without another move until a crop is sent. */
const PAUSE = 500;

/**
 * Shows a picture with its crops. `moved(crop)` is called when its only one was moved; null puts it back.
 * @param {App} app
 * @param {PlannedPicture} item
 * @param {(crop: Crop | null) => void} moved
 */
export function cropPicture(app, item, moved) {
  const { width, height, cuts } = item;
  const image = el("img", {
    src: app.api.url(item.picture, { side: 384 }),
    alt: "",
    loading: "lazy",
    draggable: "false",
    class: Math.max(width, height) <= 128 ? "sdft-pixels" : "",
  });
  const node = el("div.crop-picture", { style: `aspect-ratio: ${width} / ${height}; --sdft-crop-share: ${width / height}` }, image);
  const [first] = cuts;
  if (!first) return node;
  if (cuts.length > 1) node.append(...cuts.map((cut) => placed(el("span.crop-tile", { "aria-hidden": "true" }), cut)));
  else if (item.movable) node.append(new MovableCrop(node, item.name, first, moved).frame);
  else if (first.width < 1 || first.height < 1) node.append(placed(el("span.crop-frame", { "aria-hidden": "true" }), first));
  return node;
}

class MovableCrop {
  #area;
  #moved;
  #crop;
  #later = debounced(() => this.#moved(this.#crop.crop), PAUSE);

  /**
   * @param {HTMLElement} area the picture
   * @param {string} name
   * @param {Box} box
   * @param {(crop: Crop | null) => void} moved
   */
  constructor(area, name, box, moved) {
    this.#area = area;
    this.#moved = moved;
    this.#crop = new CropBox(box);
    this.frame = el("span.crop-frame.crop-movable", {
      role: "slider",
      tabIndex: 0,
      "aria-label": `Crop of ${name}: arrow keys move it, plus and minus change its size, Delete resets it`,
      title: "Drag to move; Ctrl and the wheel, + and − change the size",
      data: { action: "preparation-crop" },
    });
    this.frame.addEventListener("pointerdown", (event) => this.#drag(event));
    this.frame.addEventListener("keydown", (event) => this.#key(event));
    this.frame.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        this.#zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM);
      },
      { passive: false },
    );
    this.#draw();
  }

  #draw() {
    placed(this.frame, this.#crop.box);
    const [x, y] = this.#crop.middle.map((share) => Math.round(100 * share));
    this.frame.setAttribute("aria-valuetext", `${x} % from the left, ${y} % from the top`);
    this.frame.setAttribute("aria-valuenow", String(x));
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #moveTo(x, y) {
    this.#crop.moveTo(x, y);
    this.#draw();
  }

  /** @param {number} factor */
  #zoom(factor) {
    this.#crop.zoomBy(factor);
    this.#draw();
    this.#later();
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    const { frame } = this;
    frame.focus({ preventScroll: true });
    frame.setPointerCapture(event.pointerId);
    const area = this.#area.getBoundingClientRect();
    const from = this.#crop.box;
    /** @param {PointerEvent} now */
    const move = (now) =>
      this.#moveTo(from.x + (now.clientX - event.clientX) / area.width, from.y + (now.clientY - event.clientY) / area.height);
    const end = () => {
      frame.removeEventListener("pointermove", move);
      frame.removeEventListener("pointerup", end);
      frame.removeEventListener("pointercancel", end);
      const { x, y } = this.#crop.box;
      if (from.x !== x || from.y !== y) this.#later();
    };
    frame.addEventListener("pointermove", move);
    frame.addEventListener("pointerup", end);
    frame.addEventListener("pointercancel", end);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = arrowStep(event.key, event.shiftKey ? FAR : STEP);
    if (step) {
      const { x, y } = this.#crop.box;
      this.#moveTo(x + step[0], y + step[1]);
      this.#later();
    } else if (event.key === "+" || event.key === "=") this.#zoom(ZOOM);
    else if (event.key === "-") this.#zoom(1 / ZOOM);
    else if (event.key === "Delete" || event.key === "Backspace") this.#moved(null);
    else return;
    event.preventDefault();
  }
}

/**
 * @param {HTMLElement} node
 * @param {Box} box
 */
function placed(node, { x, y, width, height }) {
  Object.assign(node.style, { left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 * width}%`, height: `${100 * height}%` });
  return node;
}
