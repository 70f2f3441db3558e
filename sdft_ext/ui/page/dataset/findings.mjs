// The other findings of a report: a sentence each, the pictures behind it, and a button where something can be done about it.

import { button, el, fill } from "../shared/dom.mjs";
import { count, thousands } from "../shared/numbers.mjs";
import { IN_CAPTIONS, REMOVABLE, settingRemedy, USELESS } from "./remedies.mjs";
import { pictureTile } from "./tiles.mjs";

/** @import { App } from "../types.d.ts" */
/** @import { OpenReport } from "./open_report.mjs" */
/** @import { DatasetPanel, DatasetReport, Finding, ReportedFile } from "./types.d.ts" */

/** How many more pictures a click shows. */
const MORE = 60;

/** @param {App} app @param {DatasetPanel} panel @param {OpenReport} open @param {DatasetReport} report */
export function findingsList(app, panel, open, report) {
  const { findings, problems } = report;
  if (!findings.length && !problems.length) return el("p", {}, "No other findings.");
  return el(
    "div.stack",
    { data: { role: "findings" } },
    el("h3.subtitle", {}, `Findings (${findings.length})`),
    el("ul.findings", {}, findings.map((one) => findingView(app, panel, open, report, one))),
    problems.length > 0 &&
      el("details.fold", {}, el("summary", {}, `File by file (${problems.length})`), el("div.stack.tight", {}, problems.map((text) => el("p.advice", {}, text)))),
  );
}

/** @param {App} app @param {DatasetPanel} panel @param {OpenReport} open @param {DatasetReport} report @param {Finding} finding */
function findingView(app, panel, open, report, finding) {
  const remedy = remedyOf(app, panel, open, report, finding);
  const act = async () => {
    if (press && (await remedy?.act(press))) press.disabled = true;
  };
  const press = remedy && button(remedy.label, act, { kind: "small", data: { action: "dataset-remedy" } });
  const text = el("p.finding-text", {}, app.api.inWords(finding.text));
  return el(
    "li.finding",
    { data: { kind: finding.kind, finding: String(finding.number) } },
    el("div.row.wrap", {}, text, press),
    finding.count > 0 && filesBehind(app, open, finding),
  );
}

/** Makes the fold with the pictures behind a finding; more of them come with a click. @param {App} app @param {OpenReport} open @param {Finding} finding */
function filesBehind(app, open, finding) {
  const tiles = el("div.tiles");
  const more = el("div.row");
  let start = 0;
  const next = () =>
    app.attempt(async () => {
      const found = await filesFrom(start);
      start += found.files.length;
      tiles.append(...found.files.map((file) => pictureTile(app, open, file, { removable: REMOVABLE.has(finding.kind) })));
      const left = found.total - start;
      const label = `Show ${Math.min(left, MORE)} more of ${thousands(left)}`;
      fill(more, left > 0 && button(label, next, { kind: "small", data: { action: "dataset-more-files" } }));
    });

  /** The report holds the first ones. @param {number} first @returns {Promise<{ files: ReportedFile[], total: number }>} */
  async function filesFrom(first) {
    if (first === 0) return { files: finding.files, total: finding.count };
    return app.api.get(open.path("files"), { finding: finding.number, start: first, count: MORE });
  }

  const counted = finding.files[0]?.picture ? count(finding.count, "picture", "pictures") : count(finding.count, "file", "files");
  const fold = el("details.fold", { data: { role: "behind" } }, el("summary", {}, counted), tiles, more);
  fold.addEventListener("toggle", () => {
    if (fold.open && !start) next();
  });
  return fold;
}

/**
 * Finds what can be done about a finding; null for nothing. `act` returns whether that settles it.
 * @param {App} app
 * @param {DatasetPanel} panel
 * @param {OpenReport} open
 * @param {DatasetReport} report
 * @param {Finding} finding
 * @returns {{ label: string, act: (pressed: HTMLButtonElement) => boolean | Promise<boolean> } | null}
 */
function remedyOf(app, panel, open, report, finding) {
  const offered = panel.remedies.get(finding.kind);
  if (offered && (offered.when?.(finding, report) ?? true)) return { label: offered.label, act: () => offered.act(finding, report) };
  if (USELESS.has(finding.kind)) {
    const label = finding.count === 1 ? "Remove it" : `Remove all ${thousands(finding.count)}`;
    return { label, act: async (pressed) => (await open.remove({ finding: finding.number }, pressed)).length > 0 };
  }
  if (IN_CAPTIONS.has(finding.kind)) return { label: "Open in Captions", act: () => openCaptions(app, panel, finding) };
  const remedy = settingRemedy(finding, report, (path) => app.draft.get(path));
  if (!remedy) return null;
  return {
    label: remedy.label,
    act: () => {
      app.draft.set(remedy.path, remedy.value);
      return true;
    },
  };
}

/** @param {App} app @param {DatasetPanel} panel @param {Finding} finding */
function openCaptions(app, panel, finding) {
  app.showCaptions(app.draft.text(`dataset.concepts.${finding.concept ?? panel.concept}.instance`));
  return false;
}
