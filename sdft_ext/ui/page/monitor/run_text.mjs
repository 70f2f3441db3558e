// What the Monitor says of a run: its progress in one line, its events.

import { duration, megabytes, short } from "../shared/numbers.mjs";
import { choiceLabel } from "../shared/setting_text.mjs";
import { judgedLine } from "./judged.mjs";

/** @import { DeviceLoad, LogLine, Status } from "../types.d.ts" */

/**
 * Says how far a run is.
 * @param {Status} status
 * @param {Partial<LogLine>} last the last line with a step's numbers
 */
export function progressText({ state, step, total, seconds_left: left }, last) {
  const facts = [];
  // While a run is preparing, pictures are counted.
  if (total) facts.push(`${state === "preparing" ? "Picture" : "Step"} ${step} of ${total}`);
  if (state === "training" && left) facts.push(`${duration(left)} left`);
  if (last.pictures_per_second) facts.push(`${short(last.pictures_per_second)} pictures/s`);
  if (last.memory_mb) facts.push(megabytes(last.memory_mb));
  if (last.smoothed !== undefined) facts.push(`loss ${short(Number(last.smoothed))}`);
  return facts.join(" · ");
}

/**
 * Says what an event was.
 * @param {LogLine} line
 */
export function eventText(line) {
  const { step, event = "", file = "", text } = line;
  /** @type {Record<string, string>} */
  const texts = {
    save: `Save ${file}`,
    try: `Temporary save ${file}`,
    controls: "Control pictures",
    judged: judgedLine(line),
    warning: text ?? "Warning",
    "turn-retried": text ?? "A step was repeated",
  };
  return `Step ${step}: ${texts[event] ?? text ?? choiceLabel(event)}`;
}

/** Says how busy a GPU is. @param {DeviceLoad} device */
export function loadText({ load, temperature, used_mb: used, total_mb: total }) {
  return `GPU ${load} % · ${megabytes(used)} of ${megabytes(total)} · ${temperature} °C`;
}

/** Gives the command that starts TensorBoard on a folder. @param {string} folder on the server */
export function boardCommand(folder) {
  // cmd.exe and PowerShell know double quotes; other shells take everything in single ones as it is.
  const quoted = folder.startsWith("/") ? `'${folder.replaceAll("'", "'\\''")}'` : `"${folder}"`;
  return `tensorboard --logdir ${/^[\w./:\\-]+$/.test(folder) ? folder : quoted}`;
}
