// The preparation as a section of the Dataset panel.

import { Preparation } from "./preparation.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { DatasetPanel } from "./types.d.ts" */

/** Settings of the recipe that the plan depends on. */
const RECIPE = ["dataset.resolution", "dataset.no_upscale"];

/**
 * @param {App} app
 * @param {DatasetPanel} panel
 */
export function preparationSection(app, panel) {
  const preparation = new Preparation(app, () => String(app.draft.get(panel.path("instance"))).trim());
  const look = () => preparation.look();
  panel.listen("concept", look);
  panel.listen("pictures", look);
  app.whenDraft(preparation.node, (paths) => {
    const concerns = (/** @type {string} */ path) =>
      path === panel.path("instance") || path.startsWith("dataset.bucket") || RECIPE.includes(path);
    if (!paths || paths.some(concerns)) preparation.later();
  });
  panel.offer("cut", {
    label: "Move their crops…",
    act() {
      preparation.open();
      panel.show("preparation");
      return false;
    },
  });
  return { name: "preparation", node: preparation.node, shown: look };
}
