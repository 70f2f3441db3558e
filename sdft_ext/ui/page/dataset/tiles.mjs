// One picture of a report: small, with its name and facts, and the button that takes it out of the dataset.

import { button, el } from "../shared/dom.mjs";

/** `file` as the report names it. A tile follows what is removed and put back, wherever that is done. */
export function pictureTile(app, report, file, { badge = "", removable = false, large = false } = {}) {
  const facts = file.width ? `${file.width} × ${file.height} · ${size(file.bytes)}` : "";
  const act = removable && button("", () => (file.removed ? back() : remove()), { kind: "small", data: { action: "dataset-remove" } });
  const words = file.caption ? `${file.name}: ${file.caption}` : file.name;
  const image = file.picture && el("img", { src: app.api.url(file.picture, { side: large ? 384 : 192 }), alt: words, loading: "lazy" });
  if (image && file.width && Math.max(file.width, file.height) <= 128) image.classList.add("sdft-pixels");
  const node = el(
    large ? "figure.tile.large" : "figure.tile",
    { title: `${words}${facts ? `\n${facts}` : ""}`, data: { file: String(file.file) } },
    el("div.tile-picture", {}, image || el("span.quiet", {}, "no picture"), badge && el("span.tile-badge", {}, badge), file.regularization && el("span.tile-badge.right", {}, "regularization")),
    el("figcaption.tile-words", {}, el("span.tile-name", {}, file.name), large && facts && el("span.quiet", {}, facts), large && file.caption && el("span.tile-caption", {}, file.caption)),
    act,
  );
  let removal = null;

  const draw = () => {
    node.classList.toggle("sdft-removed", file.removed);
    if (!act) return;
    act.textContent = file.removed ? "Put back" : "Remove";
    act.setAttribute("aria-label", `${act.textContent} ${file.name}`);
    // What was removed with others, or before this page was loaded, is put back from the list below.
    act.disabled = file.removed && !removal;
  };

  async function remove() {
    await app.attempt(async () => {
      const { removed } = await app.api.post(report.path("remove"), { files: [file.file] });
      [removal] = removed;
      report.removed(removed);
    }, act);
    draw();
  }

  async function back() {
    await report.restore([removal], act);
    draw();
  }

  report.watchers.push((numbers, gone) => {
    if (!numbers.includes(file.file)) return;
    file.removed = gone;
    if (!gone) removal = null;
    draw();
  });
  draw();
  return node;
}

function size(bytes) {
  return bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MB` : `${Math.max(Math.round(bytes / 1024), 1)} kB`;
}
