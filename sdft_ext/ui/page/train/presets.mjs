// Presets: the program's, and those that the user has saved under a name.

import { ApiError, part, sentenceOf } from "../shared/api.mjs";
import { confirm, dialog } from "../shared/dialog.mjs";
import { button, el, fill, live } from "../shared/dom.mjs";
import { applyOwn } from "./own_preset.mjs";

/** @import { App, OwnPreset, Presets } from "../types.d.ts" */

/** @param {App} app @returns {Promise<Presets>} */
const ask = (app) => app.api.get("presets");

/** Makes the menu of presets. `refresh()` reads those of the user again. @param {App} app */
export function presetMenu(app) {
  const builtIn = app.schema.presets.map((preset) => el("option", { value: preset.name, title: preset.help }, preset.label));
  const own = el("optgroup", { label: "Your presets" });
  const select = el(
    "select.input.small",
    { "aria-label": "Preset", data: { action: "preset" } },
    el("option", { value: "" }, "Preset …"),
    builtIn.length > 0 && el("optgroup", { label: "Built-in" }, builtIn),
  );
  /** @type {OwnPreset[]} */
  let presets = [];
  const refresh = async () => {
    ({ presets } = await ask(app));
    fill(own, presets.map(({ name }) => el("option", { value: `own ${name}` }, name)));
    if (presets.length) select.append(own);
    else own.remove();
  };
  select.addEventListener("change", () => {
    const { value } = select;
    select.value = "";
    const mine = presets.find(({ name }) => value === `own ${name}`);
    const preset = app.schema.presets.find(({ name }) => name === value);
    if (mine) {
      applyOwn(app.draft, mine.settings);
      app.say(`Preset ${mine.name} is loaded.`);
    } else if (preset) {
      app.draft.setAll(preset.settings);
      app.say(`${preset.label}: ${preset.help}`);
    }
  });
  app.attempt(refresh);
  return { node: select, refresh };
}

/**
 * Shows the user's presets: the present settings are saved as one, and old ones are deleted. `changed()` is called afterwards.
 * @param {App} app
 * @param {() => Promise<unknown>} changed
 */
export async function showPresets(app, changed) {
  const list = el("ul.own-presets");
  const none = el("p.quiet", {}, "You have saved no presets yet.");
  const problems = el("div.stack.tight");
  // The page's own message is below the window.
  const message = el("p", { hidden: true });
  /** @param {string} text @param {boolean} wrong */
  const say = (text, wrong) => {
    message.textContent = text;
    message.className = wrong ? "sdft-problem" : "sdft-help";
    message.hidden = !text;
  };
  /** @param {() => Promise<string>} work gives the sentence to show; empty where nothing was done @param {HTMLButtonElement} pressed */
  const act = async (work, pressed) => {
    pressed.disabled = true;
    try {
      const done = await work();
      if (done) await Promise.all([draw(), changed()]);
      say(done, false);
    } catch (error) {
      say(sentenceOf(error), true);
    } finally {
      pressed.disabled = false;
    }
  };
  const name = el("input.input", { type: "text", "aria-label": "Name of the preset", placeholder: "Name", data: { field: "preset-name" } });
  const draw = async () => {
    const found = await ask(app);
    none.hidden = found.presets.length > 0;
    fill(list, found.presets.map((preset) => presetLine(preset, act, (name) => app.api.post(`presets/${part(name)}/trash`))));
    fill(problems, found.problems.map((sentence) => el("p.problem", {}, sentence)));
  };
  const save = button("Save", () => act(() => savePreset(app, name.value.trim()), save), { kind: "primary", data: { action: "save-preset" } });
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter") save.click();
  });
  if (!(await app.attempt(draw))) return;
  await dialog(app, "Your presets", () =>
    el(
      "div.stack",
      {},
      el("p", {}, "A preset has all settings of this panel except pictures, trigger and class word, prompts, names and files."),
      el("div.row.together", {}, name, save),
      live(message),
      none,
      list,
      problems,
    ),
  );
}

/**
 * Saves the present settings under a name; where it is taken, the user is asked. Returns the sentence to show, or empty.
 * @param {App} app
 * @param {string} name
 */
async function savePreset(app, name) {
  const body = { name, recipe: app.draft.nested() };
  try {
    await app.api.post("presets", body);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    if (!(await confirm(app, "Replace the preset", error.message, "Replace"))) return "";
    await app.api.post("presets", { ...body, replace: true });
  }
  return `${name} is saved.`;
}

/**
 * @param {OwnPreset} preset
 * @param {(act: () => Promise<string>, pressed: HTMLButtonElement) => unknown} act
 * @param {(name: string) => Promise<unknown>} trash
 */
function presetLine({ name }, act, trash) {
  const remove = async () => {
    await trash(name);
    return `${name} is in the trash, in the folder of the runs.`;
  };
  const pressed = button("Delete", () => act(remove, pressed), { kind: "small", "aria-label": `Delete preset ${name}`, data: { action: "delete-preset" } });
  return el("li.row", { data: { preset: name } }, el("span", {}, name), el("span.spring"), pressed);
}
