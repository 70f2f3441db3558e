// Settings of other programs: chosen or named, imported by the server, and shown with what was left out before they fill the form.

import { sentenceOf } from "../shared/api.mjs";
import { dialog } from "../shared/dialog.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

/** @import { App, ImportedSettings } from "../types.d.ts" */

const HELP =
  "Choose a settings file of kohya's sd-scripts (TOML) or kohya_ss (JSON), or a OneTrainer config (JSON), and with it the " +
  "file of its dataset or concepts, if there is one.";

/** Asks for settings of another program, shows what becomes of them, and fills the form. @param {App} app */
export async function importSettings(app) {
  /** @type {ImportedSettings | null} */
  const found = await dialog(app, "Import settings", (close) => {
    const node = el("div.stack");
    /** @param {ImportedSettings} imported */
    const show = (imported) => fill(node, report(app, imported, close, ask));
    const ask = () => fill(node, form(app, show, close));
    ask();
    return node;
  }, { wide: true });
  if (!found) return;
  app.draft.load(found.recipe);
  app.say(takenOver(found), "good");
}

/** Makes the choice of the files. @param {App} app @param {(imported: ImportedSettings) => void} show @param {(found?: ImportedSettings | null) => void} close */
function form(app, show, close) {
  const input = el("input", { type: "file", multiple: true, accept: ".toml,.json", "aria-label": "Settings files", data: { action: "import-files" } });
  const path = el("input.input", { type: "text", spellcheck: "false", "aria-label": "Path of a settings file", placeholder: "Or the path of a file on this machine", data: { field: "import-path" } });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const go = button("Import", async () => {
    go.disabled = true;
    try {
      const files = await Promise.all([...(input.files ?? [])].map(async (file) => ({ name: file.name, text: await file.text() })));
      const paths = path.value.trim() ? [path.value.trim()] : [];
      show(await app.api.post("import", { files, paths }));
    } catch (error) {
      problem.textContent = sentenceOf(error);
      problem.hidden = false;
    } finally {
      go.disabled = false;
    }
  }, { kind: "primary", data: { action: "import" } });
  path.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go.click();
  });
  return [el("p.help", {}, HELP), input, path, problem, el("div.row.end", {}, button("Cancel", () => close()), go)];
}

/** Shows what was taken over and what was left out. @param {App} app @param {ImportedSettings} imported @param {(found?: ImportedSettings | null) => void} close @param {() => void} back */
function report(app, imported, close, back) {
  const left = imported.left.map((sentence) => app.api.inWords(sentence));
  const taken = el("table.table", {}, el("thead", {}, el("tr", {}, ["In the file", "Setting", "Value"].map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, imported.taken.map((one) => takenRow(app, one))));
  const copy = button("Copy the report", async () => {
    try {
      await navigator.clipboard.writeText(left.join("\n"));
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "The browser doesn't allow copying";
    }
  });
  return [
    el("p", { data: { role: "import-summary" } }, `${takenOver(imported)} ${left.length ? "Read these before you train:" : "None was left out."}`),
    left.length > 0 && el("ul.import-left", { tabindex: "0", "aria-label": "What differs or was left out" }, left.map((sentence) => el("li", {}, sentence))),
    el("details.fold", {}, el("summary", {}, "What was taken over"), el("div.import-taken", { tabindex: "0", role: "region", "aria-label": "What was taken over" }, taken)),
    el("div.row.end.wrap", {}, button("Other files…", back), left.length > 0 && copy, button("Cancel", () => close()), button("Fill in the form", () => close(imported), { kind: "primary", data: { action: "import-use" } })),
  ];
}

/** @param {ImportedSettings} imported */
function takenOver({ program, taken }) {
  return `${count(taken.filter((one) => one.value).length, "setting was", "settings were")} taken over from ${program}.`;
}

/** @param {App} app @param {ImportedSettings["taken"][number]} one */
function takenRow(app, { name, value, setting, becomes }) {
  const label = app.draft.field(setting)?.label ?? setting;
  return el("tr", {}, el("td", {}, value ? `${name} = ${value}` : `${name} (default)`), el("td", { title: setting }, label), el("td", {}, becomes));
}
