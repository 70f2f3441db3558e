// What the comparison of judged runs shows: shares as texts, and the places of the runs' points in its chart.

/** @import { ComparedRun } from "../evaluate/types.d.ts" */

/** Writes [7, 8] as "7 of 8". @param {[number, number] | null | undefined} share */
export function shareText(share) {
  return share ? `${share[0]} of ${share[1]}` : "–";
}

/** Returns a share as a number from 0 to 1; null where it wasn't measured. @param {[number, number] | null | undefined} share */
export function shareOf(share) {
  return share ? share[0] / share[1] : null;
}

/**
 * Returns the runs in the table's order: judged ones first, those of the same pictures together, the one that is worth most first.
 * @param {ComparedRun[]} runs newest first
 */
export function comparedOrder(runs) {
  const judged = runs.filter(({ word }) => word);
  const groups = [...new Set(judged.map(({ group }) => group))];
  const value = (/** @type {ComparedRun} */ { worth }) => worth ?? -Infinity;
  const sorted = groups.flatMap((group) => judged.filter((run) => run.group === group).sort((one, other) => (value(one) === value(other) ? 0 : value(other) - value(one))));
  return [...sorted, ...runs.filter(({ word }) => !word)];
}

/**
 * @typedef {object} Point
 * @property {number} number of the run's row, from 1
 * @property {string} id
 * @property {string} label
 * @property {number} x bleeding, from 0 to 1
 * @property {number} y learned, from 0 to 1
 * @property {boolean} best
 */

/**
 * Returns the chart's points, of the runs in the table's order. A run without pictures of the other set doesn't bleed.
 * @param {ComparedRun[]} runs
 * @returns {Point[]}
 */
export function pointsOf(runs) {
  return runs.flatMap((run, place) => {
    const y = shareOf(run.learned);
    if (!run.word || y === null) return [];
    const label = `${place + 1}. ${run.name}: ${shareText(run.learned)} learned, ${shareText(run.bleeding)} bleeding`;
    return [{ number: place + 1, id: run.id, label, x: shareOf(run.bleeding) ?? 0, y, best: run.best }];
  });
}

/**
 * Groups points that lie on one another, so that each of their numbers can be read.
 * @param {Point[]} points
 * @returns {Point[][]}
 */
export function stacked(points) {
  /** @type {Map<string, Point[]>} */
  const places = new Map();
  for (const point of points) {
    const place = `${point.x.toFixed(2)} ${point.y.toFixed(2)}`;
    places.set(place, [...(places.get(place) ?? []), point]);
  }
  return [...places.values()];
}
