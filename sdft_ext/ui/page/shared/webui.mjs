// Hands things over to the WebUI's own tabs, through its own paste button.

import { ApiError, part } from "./api.mjs";
import { confirm } from "./dialog.mjs";

const LOADING = 300_000;
const TRIED = "sdft.tried";

const page = () => (typeof gradioApp === "function" ? gradioApp() : document);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Pastes an infotext into txt2img (prompt, settings, script and its axes), and shows that tab. */
export async function handOver(infotext) {
  const payload = page().querySelector("#sdft_payload textarea");
  const paste = page().querySelector("#sdft_paste");
  if (!payload || !paste) throw new ApiError("The WebUI's page has not loaded completely: reload it and try again.", 0);
  payload.value = infotext;
  if (typeof updateInput === "function") updateInput(payload);
  else payload.dispatchEvent(new Event("input", { bubbles: true }));
  // The WebUI's page takes the text over in its next turn.
  await pause(100);
  (paste.matches("button") ? paste : paste.querySelector("button")).click();
  showTab("tab_txt2img");
}

/** A save that is a whole model becomes the WebUI's checkpoint, and its prompt goes into txt2img. What trains then pauses. */
export async function useCheckpoint(app, run, save) {
  const handover = () => app.api.post(`runs/${part(run)}/handover`, { to: "txt2img", saves: [save.step] });
  const chosen = await loadCheckpoint(app, save.file, handover);
  if (chosen) await handOver(chosen.infotext);
}

/** Has the WebUI load a checkpoint (`file`: its name), as its own cards do; `titled` asks for its title. null: it shall not be. */
export async function loadCheckpoint(app, file, titled) {
  await app.refresh();
  const { runs, current, drawing, titles } = app.runs;
  const busy = current ?? drawing;
  if (busy) {
    const name = runs.find((one) => one.id === busy)?.name ?? titles[busy] ?? busy;
    const sure = await confirm(app, `Use ${file}?`, `${name} works with the checkpoint that is loaded now: it pauses until that is loaded again.`, "Use it");
    if (!sure) return null;
  }
  const chosen = await titled();
  if (typeof selectCheckpoint !== "function" || !page().querySelector("#change_checkpoint")) throw new ApiError(`The WebUI's page offers no choice of checkpoints: choose ${chosen.checkpoint} in its settings.`, 0);
  const loaded = app.say(`${file} is being loaded.`, "plain");
  selectCheckpoint(chosen.checkpoint);
  for (const until = Date.now() + LOADING; ; await pause(500)) {
    const session = await app.api.get("session");
    if (session.host.model.name === file) {
      loaded();
      await app.attempt(() => app.takeSession(session));
      return chosen;
    }
    if (Date.now() > until) throw new ApiError(`The WebUI hasn't loaded ${chosen.checkpoint}: choose it at the top of the page; its console says what keeps it.`, 0);
  }
}

/** The picture that is chosen in a tab's gallery (of a grid, its first picture), with its prompt: { blob, name, caption }. */
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
  const name = decodeURIComponent(source.split("?")[0].split("/").pop()) || "picture.png";
  const prompt = info.all_prompts?.[chosen - first] ?? info.prompt ?? "";
  // Networks that a prompt calls are no words.
  return { blob: await answer.blob(), name, caption: prompt.replace(/<[^<>:]+:[^<>]*>/g, "").split(/\s+/).filter(Boolean).join(" ") };
}

/** What the WebUI keeps of the pictures that it shows; empty where it keeps nothing. */
function infoOf(tab) {
  try {
    return JSON.parse(page().querySelector(`#generation_info_${tab} textarea`).value) ?? {};
  } catch {
    return {};
  }
}

/** Tabs can be put in any order in the settings, so the button is found by its panel's place. */
export function showTab(id) {
  const panels = [...page().querySelectorAll("#tabs > .tabitem")];
  const place = panels.findIndex((panel) => panel.id === id);
  const buttons = page().querySelectorAll("#tabs > .tab-nav > button");
  if (place >= 0 && buttons[place]) buttons[place].click();
}

/** The running training's state as a temporary file: what calls it goes into txt2img's prompt, in place of an earlier one. */
export async function tryNow(app, run) {
  app.say("The state is written after this step.");
  const { name, call, word, further } = await app.api.post(`runs/${part(run)}/try`);
  const prompt = page().querySelector("#txt2img_prompt textarea");
  if (!prompt) throw new ApiError("The WebUI's page has not loaded completely: reload it and try again.", 0);
  let before = "";
  try {
    before = sessionStorage.getItem(TRIED) ?? "";
    sessionStorage.setItem(TRIED, name);
  } catch {
    // Without storage an earlier call stays in the prompt, to be taken out by hand.
  }
  const calls = [{ call, word, before }, ...further.map((one) => ({ ...one, before: before && one.call.replace(name, () => before) }))];
  prompt.value = withCalls(prompt.value, calls);
  updateInput(prompt);
  showTab("tab_txt2img");
}

/** The prompt with each call in the place of an earlier try's (by its name), else of the trained word; all at its end where none is there. */
export function withCalls(prompt, calls) {
  const places = calls.flatMap(({ call, before, word }) => {
    const name = escaped(before);
    const found = [
      before && { text: before, pattern: `<(?:lora|hypernet):${name}:[^>]*>|\\(${name}:[\\d.]+\\)|${name}(?![\\w-])` },
      word && { text: word, pattern: `(?<![\\p{L}\\p{N}_-])${escaped(word)}(?![\\p{L}\\p{N}_])` },
    ].find((one) => one && prompt.search(new RegExp(one.pattern, "iu")) >= 0);
    return found ? [{ ...found, call }] : [];
  });
  if (!places.length) return `${prompt} ${calls.map((one) => one.call).join(" ")}`.trim();
  // All at once: a call may hold another one's word, and a word another one; of those that begin at one place, the longest.
  places.sort((a, b) => b.text.length - a.text.length);
  const any = new RegExp(places.map(({ pattern }) => `(${pattern})`).join("|"), "giu");
  return prompt.replace(any, (...found) => places[found.slice(1, places.length + 1).findIndex((one) => one !== undefined)].call);
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
