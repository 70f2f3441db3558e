// The crop of a picture as numbers: where it lies, and how far it is zoomed in. All are shares of the picture's sides.

/** @import { Box, Crop, Place } from "./types.d.ts" */

const MOST_ZOOM = 8;

export class CropBox {
  #box;
  /** Its size at zoom 1, where it reaches from edge to edge along one side. */
  #full;

  /** @param {Box} box */
  constructor({ x, y, width, height }) {
    this.#box = { x, y, width, height };
    const share = Math.max(width, height);
    this.#full = { width: width / share, height: height / share };
  }

  get box() {
    return { ...this.#box };
  }

  /** Its middle. @returns {Place} */
  get middle() {
    const { x, y, width, height } = this.#box;
    return [x + width / 2, y + height / 2];
  }

  get zoom() {
    return bounded(this.#full.width / this.#box.width, 1, MOST_ZOOM);
  }

  /** @returns {Crop} */
  get crop() {
    const [x, y] = this.middle;
    return { x, y, zoom: this.zoom };
  }

  /**
   * Moves its left upper corner; it stays inside the picture.
   * @param {number} x
   * @param {number} y
   */
  moveTo(x, y) {
    this.#box.x = bounded(x, 0, 1 - this.#box.width);
    this.#box.y = bounded(y, 0, 1 - this.#box.height);
  }

  /**
   * Zooms in (above 1) or out about its middle.
   * @param {number} factor
   */
  zoomBy(factor) {
    const [x, y] = this.middle;
    const zoom = bounded(this.zoom * factor, 1, MOST_ZOOM);
    this.#box.width = this.#full.width / zoom;
    this.#box.height = this.#full.height / zoom;
    this.moveTo(x - this.#box.width / 2, y - this.#box.height / 2);
  }
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function bounded(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * Returns how far an arrow key moves, to the right and down; null for other keys.
 * @param {string} key
 * @param {number} step
 * @returns {Place | null}
 */
export function arrowStep(key, step) {
  /** @type {Record<string, Place>} */
  const steps = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  return steps[key] ?? null;
}
