// The other findings of a report: a sentence each, the pictures behind it, and a button where something can be done about it.

import { pictureTile } from "./tiles.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

/** Kinds whose pictures can each be taken out, and those that are of no use at all. */
const PICTURES_GO = new Set(["unusable", "blurred", "very_dark", "very_bright", "too_many_pictures", "texts_without_pictures"]);
const ALL_GO = new Set(["unusable", "texts_without_pictures"]);
const CAPTIONS = new Set(["captions_missing", "captions_empty", "recurring_tag"]);
const AT_ONCE = 60;
const PATHS = /\b(?:dataset|train)\.[a-z_]+/g;

export function findingsList(app, panel, report) {
  const { findings, problems } = report.told;
  if (!findings.length && !problems.length) return el("p", {}, "Nothing else was found.");
  return el(
    "div.stack",
    { data: { role: "findings" } },
    el("h3.subtitle", {}, `Findings (${findings.length})`),
    el("ul.findings", {}, findings.map((one) => finding(app, panel, report, one))),
    problems.length > 0 && el("details.fold", {}, el("summary", {}, `Files, one by one (${problems.length})`), el("div.stack.tight", {}, problems.map((text) => el("p.advice", {}, text)))),
  );
}

function finding(app, panel, report, told) {
  const remedy = remedyOf(app, panel, report, told);
  const act =
    remedy &&
    button(remedy.label, async () => {
      if (await remedy.act(told, act)) act.disabled = true;
    }, { kind: "small", data: { action: "dataset-remedy" } });
  return el("li.finding", { data: { kind: told.kind, finding: String(told.number) } }, el("div.row.wrap", {}, el("p.finding-text", {}, inLabels(app, told.text)), act), told.count > 0 && behind(app, report, told));
}

/** The pictures behind a finding, unfolded on request; more of them come with a click. */
function behind(app, report, told) {
  const removable = PICTURES_GO.has(told.kind);
  const tile = (file) => pictureTile(app, report, file, { removable });
  const tiles = el("div.tiles");
  const more = el("div.row");
  let start = 0;
  const next = async () => {
    await app.attempt(async () => {
      const found = start ? await app.api.get(report.path("files"), { finding: told.number, start, count: AT_ONCE }) : { files: told.files, total: told.count };
      start += found.files.length;
      tiles.append(...found.files.map(tile));
      const left = found.total - start;
      fill(more, left > 0 && button(`Show ${Math.min(left, AT_ONCE)} more of ${left.toLocaleString("en")}`, next, { kind: "small", data: { action: "dataset-more-files" } }));
    });
  };
  const fold = el("details.fold", { data: { role: "behind" } }, el("summary", {}, told.files[0]?.picture ? count(told.count, "picture", "pictures") : count(told.count, "file", "files")), tiles, more);
  fold.addEventListener("toggle", () => {
    if (fold.open && !start) next();
  });
  return fold;
}

/** What can be done about a finding: { label, act }, or nothing. `act` says whether it is done with. */
function remedyOf(app, panel, report, told) {
  const offered = panel.remedies.get(told.kind);
  if (offered && (offered.when?.(told, report.told) ?? true)) return { label: offered.label, act: () => offered.act(told, report.told) };
  if (ALL_GO.has(told.kind)) {
    return { label: told.count === 1 ? "Remove it" : `Remove all ${told.count.toLocaleString("en")}`, act: async (_, act) => (await report.remove({ finding: told.number }, act)).length > 0 };
  }
  if (CAPTIONS.has(told.kind) && app.panels?.captions?.openFolder) {
    return { label: "Open in Captions", act: () => openCaptions(app, panel, told) };
  }
  return setting(app, report, told);
}

/** Remedies that change a setting of the draft. */
function setting(app, report, told) {
  const { draft } = app;
  const change = (label, path, value) =>
    JSON.stringify(draft.get(path)) !== JSON.stringify(value) && {
      label,
      act: () => {
        draft.set(path, value);
        return true;
      },
    };
  if (told.kind === "enlarged") return change("Leave small pictures small", "dataset.no_upscale", true);
  if (told.kind === "cache_memory") return change("Keep the cache on disk", "dataset.cache", "disk");
  if (told.kind === "trigger_missing") return !draft.get("dataset.template") && change("Put the trigger before every caption", "dataset.template", "[name], [filewords]");
  if (told.kind === "small_buckets") {
    const size = Math.max(Math.floor(Math.min(...report.told.buckets.map((one) => one.showings).filter((number) => number > 0))), 1);
    return size < draft.get("train.batch_size") && change(`Use a batch size of ${size}`, "train.batch_size", size);
  }
  return null;
}

function openCaptions(app, panel, told) {
  const concept = told.concept ?? panel.concept;
  app.show("captions");
  app.panels.captions.openFolder(String(app.draft.get(`dataset.concepts.${concept}.instance`)));
  return false;
}

/** The sentence with the words that the page has for settings. */
function inLabels(app, text) {
  return text.replace(PATHS, (path) => (app.draft.field(path) ? `“${app.draft.field(path).label}”` : path));
}
