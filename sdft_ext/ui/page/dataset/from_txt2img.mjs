// A picture from another tab of the WebUI becomes a picture of the dataset, with its prompt as caption.

import { dialog } from "../shared/dialog.mjs";
import { button, el } from "../shared/dom.mjs";
import { upload } from "../shared/upload.mjs";
import { newFolderName, uploadFolder } from "./upload_text.mjs";

/** @import { App, SentPicture } from "../types.d.ts" */
/** @import { DatasetPanel } from "./types.d.ts" */

/** Asks where a picture goes, and puts it there. @param {App} app @param {DatasetPanel} panel @param {SentPicture} picture */
export async function sendPicture(app, panel, { blob, name, caption }) {
  const address = URL.createObjectURL(blob);
  const target = targetMenu(app, panel);
  const text = el("textarea.input", { rows: 4, "aria-label": "Caption", data: { field: "caption" } });
  text.value = caption;
  const where = el("p.help");
  const follow = () => {
    const folder = uploadFolder(app, `dataset.concepts.${target.value}`);
    where.textContent = folder ? `Into ${folder}` : "Into a new folder next to the runs";
  };
  target.addEventListener("change", follow);
  follow();
  await dialog(app, "Send to the dataset", (close) => {
    const send = () =>
      app.attempt(async () => {
        await addPicture(app, panel, target.value, { blob, name, caption: text.value.trim() }, close);
      }, add);
    const add = button("Add", send, { kind: "primary", data: { action: "dataset-send" } });
    return el(
      "div.stack",
      {},
      el("img.sent", { src: address, alt: caption || name }),
      el("div.field", {}, el("span.label", {}, "Add to"), target, where),
      el("div.field", {}, el("span.label", {}, "Caption"), text, el("p.help", {}, "The prompt. Shorten it to what the picture shows.")),
      el("div.row.end", {}, button("Cancel", () => close()), add),
    );
  });
  URL.revokeObjectURL(address);
}

/** Makes the menu of the folders of all concepts; its values are such as "0.instance". @param {App} app @param {DatasetPanel} panel */
function targetMenu({ draft }, panel) {
  const places = Array.from({ length: draft.concepts }, (_, number) => {
    const label = draft.text(`dataset.concepts.${number}.name`) || `Concept ${number + 1}`;
    return ["instance", "regularization"].map((which) => el("option", { value: `${number}.${which}` }, `${label}: ${which} pictures`));
  });
  const menu = el("select.input", { "aria-label": "Where the picture goes", data: { action: "dataset-send-target" } }, places.flat());
  menu.value = `${panel.concept}.instance`;
  return menu;
}

/**
 * Adds the picture and its caption to a folder; says what came of it.
 * @param {App} app
 * @param {DatasetPanel} panel
 * @param {string} target such as "0.instance"
 * @param {SentPicture} picture
 * @param {() => void} close is called once they are sent
 */
async function addPicture(app, panel, target, { blob, name, caption }, close) {
  const { draft } = app;
  const path = `dataset.concepts.${target}`;
  const [number, which] = target.split(".");
  const files = [{ name, blob }];
  if (caption) files.push({ name: name.replace(/\.[^.]+$/, ".txt"), blob: new Blob([caption], { type: "text/plain" }) });
  const folderName = newFolderName(draft.text(`dataset.concepts.${number}.name`), which);
  const done = await upload(app, { folder: uploadFolder(app, path), name: folderName, files });
  close();
  if (done.pictures) {
    draft.set(path, done.folder);
    app.say(`The picture was added to ${done.folder}.`);
    panel.notify("pictures", {});
  } else app.say(done.same ? `The picture is in ${done.folder} already.` : done.refused.join(" "), "bad");
}
