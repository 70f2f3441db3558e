// A picture from elsewhere in the WebUI becomes a picture of the dataset, with its prompt as caption.

import { dialog } from "../shared/dialog.mjs";
import { button, el } from "../shared/dom.mjs";
import { upload } from "../shared/upload.mjs";

/** `picture` is { blob, name, caption }. Asks where it goes, and puts it there. */
export async function sendPicture(app, panel, { blob, name, caption }) {
  const { draft } = app;
  const address = URL.createObjectURL(blob);
  const places = Array.from({ length: draft.concepts }, (_, number) => number).flatMap((number) => {
    const label = String(draft.get(`dataset.concepts.${number}.name`)) || `Concept ${number + 1}`;
    return [
      { value: `${number}.instance`, label: `${label}: instance pictures` },
      { value: `${number}.regularization`, label: `${label}: regularization pictures` },
    ];
  });
  const target = el("select.input", { "aria-label": "Where the picture goes", data: { action: "dataset-send-target" } }, places.map((one) => el("option", { value: one.value }, one.label)));
  target.value = `${panel.concept}.instance`;
  const words = el("textarea.input", { rows: 4, "aria-label": "Caption", data: { field: "caption" } });
  words.value = caption;
  const where = el("p.help");
  const follow = () => {
    const folder = String(draft.get(`dataset.concepts.${target.value}`)).trim();
    where.textContent = folder ? `Into ${folder}` : "Into a new folder beside the runs";
  };
  target.addEventListener("change", follow);
  follow();
  await dialog(app, "Send to the dataset", (close) => {
    const add = button("Add", () => app.attempt(async () => {
      const path = `dataset.concepts.${target.value}`;
      const [number, which] = target.value.split(".");
      const files = [{ name, blob }];
      const text = words.value.trim();
      if (text) files.push({ name: name.replace(/\.[^.]+$/, ".txt"), blob: new Blob([text], { type: "text/plain" }) });
      const called = String(draft.get(`dataset.concepts.${number}.name`)).trim() || "pictures";
      const done = await upload(app, { folder: String(draft.get(path)).trim(), name: which === "regularization" ? `${called} regularization` : called, files });
      close();
      if (done.pictures) {
        draft.set(path, done.folder);
        app.say(`The picture was added to ${done.folder}.`);
        panel.tell("pictures", { sent: true });
      } else app.say(done.same ? `The picture is in ${done.folder} already.` : done.refused.join(" "), "bad");
    }, add), { kind: "primary", data: { action: "dataset-send" } });
    return el(
      "div.stack",
      {},
      el("img.sent", { src: address, alt: caption || name }),
      el("div.field", {}, el("span.label", {}, "Where to"), target, where),
      el("div.field", {}, el("span.label", {}, "Caption"), words, el("p.help", {}, "The prompt, to be shortened to what the picture shows.")),
      el("div.row.end", {}, button("Cancel", () => close()), add),
    );
  });
  URL.revokeObjectURL(address);
}
