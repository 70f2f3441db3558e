// Settings as text, and what is typed as settings.

import { plain } from "./numbers.mjs";

/** @import { Field, Value } from "../types.d.ts" */

/** A limit from here on only keeps typing errors out. */
const NO_LIMIT = 100_000;

/** Writes a value as text, for titles and comparisons. @param {Value | undefined} value */
export function shown(value) {
  if (value === "" || value === null || value === undefined) return "empty";
  if (value === true || value === false) return value ? "on" : "off";
  if (typeof value === "number") return plain(value);
  if (Array.isArray(value)) return value.length ? value.map((one) => `“${one}”`).join(", ") : "empty";
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

/** Writes a field's range with its unit; empty where there is none worth showing. @param {Pick<Field, "unit" | "low" | "high">} field */
export function rangeOf({ unit, low, high }) {
  const counted = unit ? ` ${unit}` : "";
  if (low === null || low === undefined) return unit ?? "";
  if (high === null || high === undefined || high >= NO_LIMIT) return low === 0 ? (unit ?? "") : `from ${plain(low)}${counted}`;
  return `${plain(low)}–${plain(high)}${counted}`;
}

/**
 * Reads what is typed as a number of a field's type; null where it is none. A decimal comma is read as a point. Whole numbers
 * beyond what JavaScript counts exactly stay text: the server reads them exactly.
 * @param {string} typed
 * @param {boolean} whole
 * @returns {number | string | null}
 */
export function readNumber(typed, whole) {
  const text = typed.trim().replace(",", ".");
  const value = Number(text);
  if (!whole) return text !== "" && Number.isFinite(value) ? value : null;
  if (!/^[+-]?\d+$/.test(text)) return null;
  return Number.isSafeInteger(value) ? value : String(BigInt(text));
}

/** Removes the quotes around a path: Windows' "Copy as path" adds them. @param {string} typed */
export function unquoted(typed) {
  return /^\s*(["'])(.+)\1\s*$/.exec(typed)?.[2] ?? typed;
}

/** Whether a number lies in a field's range. @param {number | string} value @param {Pick<Field, "low" | "high">} field */
export function inRange(value, { low, high }) {
  return Number(value) >= (low ?? -Infinity) && Number(value) <= (high ?? Infinity);
}

/** Writes a choice's name for people. @param {string} choice */
export function choiceLabel(choice) {
  return choice.replaceAll("_", " ");
}

/**
 * Makes a map's value of its rows; rows without a name are left out.
 * @param {[string, string][]} rows name and value as typed
 * @param {boolean} whole whether values are whole numbers
 * @returns {{ value: Record<string, string | number> } | { problem: string }}
 */
export function mapOf(rows, whole) {
  const named = rows.filter(([name]) => name);
  const bad = whole && named.find(([, value]) => !/^\d+$/.test(value.trim()));
  if (bad) return { problem: `"${bad[0]}" needs a whole number.` };
  return { value: Object.fromEntries(named.map(([name, value]) => [name, whole ? Number(value) : value])) };
}
