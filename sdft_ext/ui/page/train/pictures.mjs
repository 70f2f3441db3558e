// The pictures: folders, what lies in them, and what is wrong with it.

import { settingField } from "../shared/field.mjs";
import { debounced, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";
import { regularization } from "../dataset/regularization.mjs";

const INSTANCE = "dataset.concepts.0.instance";
const REGULARIZATION = "dataset.concepts.0.regularization";
const SHOWN = 24;

export function dataset(app) {
  return el(
    "div.stack",
    {},
    el("div.stack", {}, settingField(app, INSTANCE, { help: "Folder with the pictures of the concept, on the computer that runs this page's server." }), contents(app, INSTANCE, SHOWN)),
    el("div.stack", {}, settingField(app, REGULARIZATION, { help: "Optional for a style. Pictures of the class, not of the concept: 20–100 for each instance picture." }), contents(app, REGULARIZATION, 8), regularization(app).node),
  );
}

/** What lies in the folder that a setting names: how many, the first ones, and problems. */
export function contents(app, path, shown) {
  const node = el("div.contents", { "aria-live": "polite", data: { contents: path } });
  let asked = null;
  let folder = null;
  const look = async () => {
    const now = String(app.draft.get(path)).trim();
    if (now === folder) return;
    folder = now;
    asked?.abort();
    if (!now) return fill(node);
    asked = new AbortController();
    try {
      const found = await app.api.get("datasets", { folder: now, count: shown }, asked.signal);
      fill(
        node,
        el("p.help", {}, `${count(found.pictures, "picture", "pictures")}, ${count(found.captions, "caption", "captions")}`),
        el("div.thumbnails", {}, found.thumbnails.map((one) => thumbnail(app, one)), found.pictures > found.thumbnails.length && el("span.more", {}, `+ ${found.pictures - found.thumbnails.length}`)),
        found.problems.map((text) => el("p.advice", {}, text)),
      );
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(node, el("p.problem", { role: "alert" }, error.message));
      folder = null;
    }
  };
  const later = debounced(look, 400);
  app.whenDraft(node, (paths) => {
    if (!paths || paths.includes(path)) later();
  });
  // Somebody has put pictures into a folder that is shown already.
  app.root.addEventListener("sdft-pictures", (event) => {
    if (!node.isConnected || event.detail.folder !== folder) return;
    folder = null;
    look();
  });
  look();
  return node;
}

function thumbnail(app, { name, picture, width, height, caption }) {
  const words = caption ? `${name}: ${caption}` : name;
  return el(
    "figure.thumbnail",
    { title: `${words}\n${width} × ${height}` },
    el("img", { src: app.api.url(picture, { side: 192 }), alt: words, loading: "lazy", width: 72, height: 72, class: Math.max(width, height) <= 128 ? "sdft-pixels" : "" }),
  );
}
