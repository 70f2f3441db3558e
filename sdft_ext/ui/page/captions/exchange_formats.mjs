// Formats that captions are imported from and exported to.

import { el, freshId } from "../shared/dom.mjs";

/** @type {[name: string, label: string][]} */
export const FORMATS = [
  ["txt", "Text files (.txt)"],
  ["caption", "Caption files (.caption)"],
  ["names", "File names"],
  ["jsonl", "metadata.jsonl (diffusers)"],
  ["csv", "CSV (file_name, text)"],
  ["meta_cap", "meta_cap.json (kohya)"],
  ["meta_lat", "meta_lat.json (kohya)"],
];

/** Media types of the formats that are one file, which can be chosen or downloaded. @type {Record<string, string>} */
const ONE_FILE = { jsonl: "application/jsonl", csv: "text/csv", meta_cap: "application/json", meta_lat: "application/json" };

/** Whether all captions are in one file. @param {string} format */
export const inOneFile = (format) => format in ONE_FILE;

/** Returns a format's media type. @param {string} format */
export const mediaType = (format) => ONE_FILE[format] ?? "text/plain";

/**
 * Makes a labelled menu.
 * @param {string} label
 * @param {[value: string, text: string][]} choices
 * @param {string} action
 */
export function menu(label, choices, action) {
  const id = freshId("sdft-choice");
  const input = el(
    "select.input",
    { id, data: { action } },
    choices.map(([value, text]) => el("option", { value }, text)),
  );
  return { input, node: el("div.field", {}, el("label.label", { htmlFor: id }, label), input) };
}
