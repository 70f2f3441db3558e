// How the table of single pictures is sorted, and how its numbers are written.

/** @import { PictureLoss } from "./types.d.ts" */

/** @typedef {"name" | "before" | "now" | "change" | "finding"} Column */

/** The findings, the one to act on first first. */
const FINDINGS = ["mislabelled", "hard", "memorized", ""];

/** How each finding is named in the table. @type {Record<string, string>} */
export const FINDING_NAMES = { mislabelled: "Mislabelled?", hard: "Hard", memorized: "Memorized" };

/** Columns whose largest values come first. @type {Column[]} */
export const DESCENDING = ["before", "now", "change"];

/**
 * Returns the pictures in a column's order; those without a value come last.
 * @param {PictureLoss[]} pictures
 * @param {Column} column
 * @param {boolean} descending
 */
export function sortedPictures(pictures, column, descending) {
  const sign = descending ? -1 : 1;
  return [...pictures].sort((one, other) => {
    const a = keyOf(one, column);
    const b = keyOf(other, column);
    if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0);
    const order = typeof a === "string" ? a.localeCompare(String(b), "en", { numeric: true }) : a - Number(b);
    return sign * order || one.name.localeCompare(other.name, "en", { numeric: true });
  });
}

/** @param {PictureLoss} picture @param {Column} column */
function keyOf(picture, column) {
  return column === "finding" ? FINDINGS.indexOf(picture.finding) : (picture[column] ?? null);
}

/** Writes -0.253 as "−25 %". @param {number | null | undefined} change */
export function changeText(change) {
  if (change === null || change === undefined) return "–";
  const percent = Math.round(100 * change);
  return `${percent < 0 ? "−" : percent > 0 ? "+" : ""}${Math.abs(percent)} %`;
}
