// A mask that is painted on: a canvas of greys, opaque, so that what is seen is what is stored. It begins black.

import { el } from "../shared/dom.mjs";
import { invertPixels, whiteShare } from "./mask_pixels.mjs";

/** @import { Place } from "./types.d.ts" */

const MOST_UNDO = 20;

export class MaskCanvas {
  /** What undo comes back to. @type {ImageData[]} */
  #before = [];
  #pen;

  /**
   * @param {number} width in pixels
   * @param {number} height
   */
  constructor(width, height) {
    this.node = el("canvas.mask", { width: String(width), height: String(height) });
    const pen = this.node.getContext("2d", { willReadFrequently: true });
    if (!pen) throw new Error("This browser can't draw the mask: close other tabs, then try again.");
    this.#pen = pen;
    this.#fill("#000");
  }

  get canUndo() {
    return this.#before.length > 0;
  }

  /**
   * Loads a picture's greys.
   * @param {string} url
   */
  async load(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    this.#fill("#000");
    this.#pen.drawImage(image, 0, 0, this.node.width, this.node.height);
  }

  /** Remembers the mask for undo. */
  remember() {
    this.#before.push(this.#pixels());
    if (this.#before.length > MOST_UNDO) this.#before.shift();
  }

  undo() {
    const before = this.#before.pop();
    if (before) this.#pen.putImageData(before, 0, 0);
  }

  /**
   * Paints a line between two places with a round brush.
   * @param {Place} from
   * @param {Place} to
   * @param {number} radius in pixels
   * @param {boolean} white
   */
  stroke(from, to, radius, white) {
    const pen = this.#pen;
    pen.strokeStyle = pen.fillStyle = white ? "#fff" : "#000";
    pen.lineCap = "round";
    pen.lineWidth = 2 * radius;
    const { width, height } = this.node;
    pen.beginPath();
    pen.moveTo(from[0] * width, from[1] * height);
    pen.lineTo(to[0] * width, to[1] * height);
    pen.stroke();
    pen.beginPath();
    pen.arc(to[0] * width, to[1] * height, radius, 0, 2 * Math.PI);
    pen.fill();
  }

  invert() {
    this.remember();
    const pixels = this.#pixels();
    invertPixels(pixels.data);
    this.#pen.putImageData(pixels, 0, 0);
  }

  /** @param {boolean} white */
  clear(white) {
    this.remember();
    this.#fill(white ? "#fff" : "#000");
  }

  /** Returns how much of it is white, 0 to 1. */
  share() {
    return whiteShare(this.#pixels().data);
  }

  /** Returns it as a PNG's data URL. */
  data() {
    return this.node.toDataURL("image/png");
  }

  /** @param {string} colour */
  #fill(colour) {
    this.#pen.fillStyle = colour;
    this.#pen.fillRect(0, 0, this.node.width, this.node.height);
  }

  #pixels() {
    return this.#pen.getImageData(0, 0, this.node.width, this.node.height);
  }
}
