// The pictures: their folders, what is in them, and what is wrong with it.

import { uploadArea } from "../dataset/add.mjs";
import { regularization } from "../dataset/regularization.mjs";
import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, debounced, el, fill, live } from "../shared/dom.mjs";
import { settingField } from "../shared/field.mjs";
import { linksOf } from "../shared/folders.mjs";
import { count } from "../shared/numbers.mjs";
import { thumbnails } from "../shared/thumbnails.mjs";

/** @import { App, Child, Dataset } from "../types.d.ts" */

const INSTANCE = "dataset.concepts.0.instance";
const REGULARIZATION = "dataset.concepts.0.regularization";
const INSTANCE_SHOWN = 24;
const REGULARIZATION_SHOWN = 8;

/** Makes the controls of the first concept's folders, with what is in them. @param {App} app */
export function datasetFolders(app) {
  const instance = settingField(app, INSTANCE, { help: "Folder with the pictures of the concept, on the computer that runs this page's server." });
  const help = "Optional for a style. Pictures of the class, not of the concept: 20–100 for each instance picture.";
  return el(
    "div.stack",
    {},
    el("div.stack", {}, instance, contents(app, INSTANCE, INSTANCE_SHOWN), uploads(app)),
    el("div.stack", {}, settingField(app, REGULARIZATION, { help }), contents(app, REGULARIZATION, REGULARIZATION_SHOWN), regularization(app).node),
  );
}

/** Makes the fold that sends pictures to the instance folder. @param {App} app */
function uploads(app) {
  const area = uploadArea(app, {
    prefix: "train",
    setting: () => INSTANCE,
    added: ({ folder }) => app.root.dispatchEvent(new CustomEvent("sdft-pictures", { detail: { folder } })),
  });
  const fold = el("details.fold", { open: !app.draft.text(INSTANCE), data: { role: "train-upload" } }, el("summary", {}, "Upload pictures"), el("div.stack.tight", {}, ...area.nodes));
  app.whenDraft(fold, area.follow);
  area.follow();
  return fold;
}

/**
 * Shows what is in the folder that a setting names: how many pictures, the first ones, and problems.
 * @param {App} app
 * @param {string} path
 * @param {number} shown how many pictures
 */
export function contents(app, path, shown) {
  const facts = el("p.help", { hidden: true });
  const found = el("div.stack.tight");
  const node = el("div.contents", { data: { contents: path } }, live(facts), found);
  /** @param {...(Child | Child[])} children what is shown below the number of pictures */
  const show = (...children) => {
    fill(found, ...children);
    facts.hidden = facts.childNodes.length === 0;
    node.classList.toggle("sdft-nothing", facts.hidden && !found.childNodes.length);
  };
  let request = new AbortController();
  /** @type {string | null} */
  let folder = null;
  const refresh = async () => {
    const now = app.draft.text(path);
    if (now === folder) return;
    folder = now;
    request.abort();
    if (!now) {
      fill(facts);
      show();
      return;
    }
    request = new AbortController();
    try {
      /** @type {Dataset} */
      const dataset = await app.api.get("datasets", { folder: now, count: shown, ...linksOf(app) }, request.signal);
      fill(
        facts,
        `${count(dataset.pictures, "picture", "pictures")}, ${count(dataset.captions, "caption", "captions")} `,
        path.endsWith(".instance") && dataset.captions < dataset.pictures && button("Write captions", () => app.showCaptions(now), { kind: "link" }),
      );
      show(thumbnails(app, dataset), dataset.problems.map((text) => el("p.advice", {}, text)));
    } catch (error) {
      if (aborted(error)) return;
      fill(facts);
      show(el("p.problem", { role: "alert" }, sentenceOf(error)));
      folder = null;
    }
  };
  const refreshLater = debounced(refresh, 400);
  app.whenDraft(node, (paths) => {
    if (!paths || paths.includes(path)) refreshLater();
  });
  // Pictures were added to a folder that is shown already.
  app.root.addEventListener("sdft-pictures", (event) => {
    if (!node.isConnected || /** @type {CustomEvent<{ folder: string }>} */ (event).detail.folder !== folder) return;
    folder = null;
    refresh();
  });
  refresh();
  return node;
}
