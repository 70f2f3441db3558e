// Sends prompts, settings and checkpoints to the WebUI's own tabs, and takes pictures from them.

import { ApiError, part } from "./api.mjs";
import { confirm } from "./dialog.mjs";
import { withCalls, withoutCalls } from "./prompt_calls.mjs";
import { readText, writeText } from "./storage.mjs";

/** @import { App, Session } from "../types.d.ts" */
/** @import { PromptCall } from "./prompt_calls.mjs" */

/** How long the WebUI may take to load a checkpoint (ms). */
const LOADING = 300_000;
const TRIED = "sdft.tried";
const INCOMPLETE = "The WebUI's page has not loaded completely: reload it and try again.";
const storage = () => sessionStorage;

const page = () => (typeof gradioApp === "function" ? gradioApp() : document);
/** @param {number} ms @returns {Promise<void>} */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** @param {string} selector @returns {HTMLTextAreaElement | null} */
const textarea = (selector) => page().querySelector(selector);

/** Pastes an infotext into txt2img (prompt, settings, script and its axes), and shows that tab. @param {string} infotext */
export async function sendToTxt2img(infotext) {
  const payload = textarea("#sdft_payload textarea");
  const paste = page().querySelector("#sdft_paste");
  const press = paste?.matches("button") ? paste : paste?.querySelector("button");
  if (!payload || !(press instanceof HTMLElement)) throw new ApiError(INCOMPLETE, 0);
  payload.value = infotext;
  if (typeof updateInput === "function") updateInput(payload);
  else payload.dispatchEvent(new Event("input", { bubbles: true }));
  // gradio reads the text in its next turn.
  await pause(100);
  press.click();
  showTab("tab_txt2img");
}

/**
 * Puts a save, with its prompt and settings, into txt2img.
 * @param {App} app
 * @param {string} run
 * @param {{ step: number }} save
 */
export async function sendSave(app, run, { step }) {
  /** @type {{ infotext: string }} */
  const { infotext } = await app.api.post(`runs/${part(run)}/handover`, { to: "txt2img", saves: [step] });
  await sendToTxt2img(infotext);
}

/**
 * Makes a save that is a whole model the WebUI's checkpoint, and puts its prompt into txt2img. What trains then pauses.
 * @param {App} app
 * @param {string} run
 * @param {{ file: string, step: number }} save
 */
export async function useCheckpoint(app, run, save) {
  /** @returns {Promise<{ infotext: string, checkpoint: string }>} */
  const handover = () => app.api.post(`runs/${part(run)}/handover`, { to: "txt2img", saves: [save.step] });
  const chosen = await loadCheckpoint(app, save.file, handover);
  if (chosen) await sendToTxt2img(chosen.infotext);
}

/**
 * Has the WebUI load a checkpoint, as its own cards do. Returns what `request` answered; null where the user declines.
 * @template {{ checkpoint: string }} T
 * @param {App} app
 * @param {string} file the checkpoint's file name
 * @param {() => Promise<T>} request asks the server for its title in the WebUI's list
 */
export async function loadCheckpoint(app, file, request) {
  await app.refresh();
  const { runs, current, drawing, titles = {} } = app.runs;
  const busy = current ?? drawing;
  if (busy) {
    const name = runs.find((one) => one.id === busy)?.name ?? titles[busy] ?? busy;
    const text = `${name} uses the checkpoint that is loaded now: it pauses until that one is loaded again.`;
    if (!(await confirm(app, `Use ${file}?`, text, "Use it"))) return null;
  }
  const chosen = await request();
  const { checkpoint } = chosen;
  if (typeof selectCheckpoint !== "function" || !page().querySelector("#change_checkpoint")) throw new ApiError(`The WebUI's page has no menu of checkpoints: choose ${checkpoint} in its settings.`, 0);
  const clear = app.say(`Loading ${file} …`, "plain");
  selectCheckpoint(checkpoint);
  for (const until = Date.now() + LOADING; ; await pause(500)) {
    /** @type {Session} */
    const session = await app.api.get("session");
    if (session.host.model?.name === file) {
      clear();
      await app.attempt(() => app.takeSession(session));
      return chosen;
    }
    if (Date.now() > until) throw new ApiError(`The WebUI hasn't loaded ${checkpoint}: choose it at the top of the page; its console says what is wrong.`, 0);
  }
}

/**
 * Takes the picture that is chosen in a tab's gallery (of a grid, its first picture), with its prompt as the caption.
 * @param {string} tab "txt2img" or "img2img"
 */
export async function pictureOf(tab) {
  const gallery = page().querySelector(`#${tab}_gallery`);
  const small = [...(gallery?.querySelectorAll(".thumbnail-item.thumbnail-small") ?? [])];
  const all = small.length ? small : [...(gallery?.querySelectorAll(".thumbnail-item.thumbnail-lg") ?? [])];
  const info = infoOf(tab);
  const first = Math.min(info.index_of_first_image ?? 0, Math.max(all.length - 1, 0));
  const chosen = Math.max(all.findIndex((one) => one.classList.contains("selected")), first);
  const source = all[chosen]?.querySelector("img")?.src ?? gallery?.querySelector("img")?.src;
  if (!source) throw new ApiError("There is no picture yet: generate one, then send it to the dataset.", 0);
  const answer = await fetch(source, { credentials: "same-origin" });
  if (!answer.ok) throw new ApiError(`The picture can't be read (${answer.status}): generate it again.`, answer.status);
  const name = decodeURIComponent(source.split("?")[0].split("/").pop() ?? "") || "picture.png";
  const prompt = info.all_prompts?.[chosen - first] ?? info.prompt ?? "";
  return { blob: await answer.blob(), name, caption: withoutCalls(prompt) };
}

/**
 * Reads what the WebUI keeps about the pictures that it shows; empty where it keeps nothing.
 * @param {string} tab
 * @returns {{ index_of_first_image?: number, all_prompts?: string[], prompt?: string }}
 */
function infoOf(tab) {
  try {
    return JSON.parse(textarea(`#generation_info_${tab} textarea`)?.value ?? "") ?? {};
  } catch {
    return {};
  }
}

/** Shows one of the WebUI's tabs. Settings can reorder them, so the button is found by its panel's place. @param {string} id */
export function showTab(id) {
  const panels = [...page().querySelectorAll("#tabs > .tabitem")];
  const tab = page().querySelectorAll("#tabs > .tab-nav > button")[panels.findIndex((panel) => panel.id === id)];
  if (tab instanceof HTMLElement) tab.click();
}

/**
 * Has the running training's state written as a temporary file, and calls it in txt2img's prompt, in place of an earlier one.
 * @param {App} app
 * @param {string} run
 */
export async function tryNow(app, run) {
  app.say("The current state will be written after this step.");
  /** @type {{ name: string, call: string, word: string, further: PromptCall[] }} */
  const { name, call, word, further } = await app.api.post(`runs/${part(run)}/try`);
  const prompt = textarea("#txt2img_prompt textarea");
  if (!prompt) throw new ApiError(INCOMPLETE, 0);
  // Without storage, an earlier call stays in the prompt, to be removed by hand.
  const before = readText(storage, TRIED) ?? "";
  writeText(storage, TRIED, name);
  const extra = further.map((one) => ({ ...one, before: before && one.call.replace(name, () => before) }));
  prompt.value = withCalls(prompt.value, [{ call, word, before }, ...extra]);
  updateInput(prompt);
  showTab("tab_txt2img");
}
