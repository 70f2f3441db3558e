// One picture of a planned preparation: its crops, its sizes before and after, its mask.

import { button, el } from "../shared/dom.mjs";
import { cropPicture } from "./crop.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { Crop, PlannedPicture } from "./types.d.ts" */

/**
 * `move(crop)` moves its crop, null puts it back; `paint()` opens its mask.
 * @param {App} app
 * @param {PlannedPicture} item
 * @param {{ move: (crop: Crop | null) => void, paint: () => void }} act
 */
export function pictureCard(app, item, { move, paint }) {
  const { name, enlarged, problem, mask, by_hand: byHand } = item;
  return el(
    "figure.preparation-item",
    { data: { name } },
    cropPicture(app, item, move),
    el("figcaption", {}, el("span.preparation-name", { title: name }, name), el("span.preparation-size", {}, sizes(item))),
    enlarged > 1 && el("p.advice", {}, `Enlarged ${enlarged.toFixed(enlarged < 1.1 ? 2 : 1)} times`),
    problem && el("p.problem", {}, problem),
    el(
      "div.row.wrap.together",
      {},
      button(mask ? "Mask ✓" : "Mask…", paint, { kind: "small", "aria-label": `Mask of ${name}`, data: { action: "preparation-mask" } }),
      byHand &&
        button("Reset crop", () => move(null), {
          kind: "small",
          "aria-label": `Reset the crop of ${name}`,
          data: { action: "preparation-reset" },
        }),
    ),
  );
}

/**
 * Says which sizes a picture has before and after, and how many files it becomes where there are several.
 * @param {Pick<PlannedPicture, "width" | "height" | "cuts" | "mirrored">} item
 */
export function sizes({ width, height, cuts, mirrored }) {
  const after = [...new Set(cuts.map((cut) => cut.after.join(" × ")))].join(", ");
  const files = cuts.length * (mirrored ? 2 : 1);
  return `${width} × ${height} → ${after || "–"}${files > 1 ? ` (${files})` : ""}`;
}
