// The order of the waiting runs.

/** @import { Run, Runs } from "../types.d.ts" */

/**
 * Returns the ids with one of them moved to a place.
 * @param {string[]} ids
 * @param {string} id
 * @param {number} place
 */
export function moved(ids, id, place) {
  const others = ids.filter((one) => one !== id);
  others.splice(place, 0, id);
  return others;
}

/**
 * Returns what the queue's list shows: each waiting run's name and method, or the name of its regularization pictures.
 * @param {string[]} queue ids
 * @param {{ id: string, name: string, method: string }[]} runs
 * @param {Record<string, string>} titles of regularization pictures, by id
 */
export function queueItems(queue, runs, titles) {
  const byId = new Map(runs.map((run) => [run.id, run]));
  return queue.map((id, number) => {
    const run = byId.get(id);
    return { id, name: run?.name ?? titles[id] ?? id, method: run?.method ?? "Regularization pictures", number, last: number === queue.length - 1 };
  });
}

/**
 * Finds the first run, of the one that is under way and those that wait, whose base model isn't the loaded one.
 * @param {Pick<Runs, "runs" | "queue" | "current">} runs
 * @param {string} loaded the file of the loaded model
 * @returns {Run | undefined}
 */
export function otherModel({ runs, queue, current }, loaded) {
  const inOrder = [...(current ? [current] : []), ...queue].flatMap((id) => runs.find((run) => run.id === id) ?? []);
  return inOrder.find((run) => run.base && run.base !== loaded);
}
