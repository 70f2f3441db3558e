// A notification with a sound when a run ends, for those who want it.

import { el } from "./dom.mjs";
import { STATES } from "./run_widgets.mjs";
import { readText, writeText } from "./storage.mjs";

/** @import { App, Run } from "../types.d.ts" */

const KEPT = "sdft.notify";
const storage = () => localStorage;
/** The sound: a frequency [Hz] and its length [s]. */
const TONE = 660;
const SECONDS = 0.35;

/** Makes the choice of being notified. */
export function notifyChoice() {
  const input = el("input", { type: "checkbox", checked: readText(storage, KEPT) === "on", data: { action: "notify" } });
  input.addEventListener("change", async () => {
    writeText(storage, KEPT, input.checked ? "on" : "off");
    // Where notifications aren't available or not allowed, the sound is left.
    if (input.checked && "Notification" in window && Notification.permission === "default") await Notification.requestPermission();
  });
  return el("label.check", { title: "With a notification of the browser, where it allows that, and a sound" }, input, el("span", {}, "Notify me when a run ends"));
}

/** Notifies of a run that has ended, where that is wanted. @param {App} app @param {Run} run */
export function notifyOf(app, run) {
  if (readText(storage, KEPT) !== "on") return;
  const title = `${run.name}: ${STATES[run.state] ?? run.state}`;
  if ("Notification" in window && Notification.permission === "granted") new Notification(title, { body: app.api.inWords(run.message), tag: `sdft-${run.id}` });
  sound();
}

function sound() {
  const context = new AudioContext();
  const tone = context.createOscillator();
  const volume = context.createGain();
  tone.frequency.value = TONE;
  volume.gain.setValueAtTime(0.15, context.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + SECONDS);
  tone.connect(volume).connect(context.destination);
  tone.start();
  tone.stop(context.currentTime + SECONDS);
  tone.addEventListener("ended", () => context.close());
}
