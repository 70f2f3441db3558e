// The icon of the browser's tab: a ring that fills while a run trains, full when it has ended.

import { el } from "./dom.mjs";

/** @import { Run } from "../types.d.ts" */

/** Of the icon [pixels]; browsers make it smaller. */
const SIDE = 32;
/** The ring is redrawn when it has grown by such a part. */
const PARTS = 32;
const COLOURS = { track: "#b9bec7", training: "#d9540b", paused: "#7a828e", finished: "#17803d", failed: "#c62828" };

/**
 * Says what the icon shows of a run: how many parts of the ring are filled, and in which colour; null for none.
 * @param {Pick<Run, "state" | "step" | "total"> | undefined} run
 * @returns {{ parts: number, colour: string } | null}
 */
export function iconOf(run) {
  if (!run) return null;
  const { state, step, total } = run;
  if (state === "finished" || state === "failed") return { parts: PARTS, colour: COLOURS[state] };
  const share = state !== "preparing" && total > 0 ? Math.min(step / total, 1) : 0;
  return { parts: Math.floor(share * PARTS), colour: state === "paused" ? COLOURS.paused : COLOURS.training };
}

export class TabIcon {
  /** The page's own icons, while ours is in their place. @type {HTMLLinkElement[] | null} */
  #others = null;
  #link = el("link", { rel: "icon", type: "image/png", data: { icon: "sdft" } });
  #shown = "null";

  /** @param {Parameters<typeof iconOf>[0]} run undefined for the page's own icon */
  show(run) {
    const icon = iconOf(run);
    const key = JSON.stringify(icon);
    if (key === this.#shown) return;
    this.#shown = key;
    if (!icon) return this.#restore();
    const drawn = draw(icon);
    if (!drawn) return;
    if (!this.#others) {
      this.#others = [...document.querySelectorAll("link")].filter((one) => one.relList.contains("icon"));
      for (const one of this.#others) one.remove();
      document.head.append(this.#link);
    }
    this.#link.href = drawn;
  }

  #restore() {
    const others = this.#others;
    this.#others = null;
    if (!others) return;
    // Without a link, browsers keep what they have shown: the server's own icon is named then.
    if (!others.length) this.#link.href = new URL("favicon.ico", document.baseURI).href;
    else this.#link.remove();
    document.head.append(...others);
  }
}

/** Draws the ring; returns its address, or null where a page can't draw. @param {{ parts: number, colour: string }} icon */
function draw({ parts, colour }) {
  const canvas = el("canvas", { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d");
  if (!context) return null;
  const middle = SIDE / 2;
  context.lineWidth = 7;
  /** @param {string} stroke @param {number} share of the ring, from the top on */
  const arc = (stroke, share) => {
    context.strokeStyle = stroke;
    context.beginPath();
    context.arc(middle, middle, middle - 5, -Math.PI / 2, (2 * share - 0.5) * Math.PI);
    context.stroke();
  };
  arc(COLOURS.track, 1);
  if (parts) arc(colour, parts / PARTS);
  context.fillStyle = colour;
  context.beginPath();
  context.arc(middle, middle, 5, 0, 2 * Math.PI);
  context.fill();
  return canvas.toDataURL("image/png");
}
