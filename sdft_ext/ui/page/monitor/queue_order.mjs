// The order of the waiting runs.

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
 * Returns what the queue's list shows: each waiting run's name, or that of its regularization pictures.
 * @param {string[]} queue ids
 * @param {{ id: string, name: string }[]} runs
 * @param {Record<string, string>} titles of regularization pictures, by id
 */
export function queueItems(queue, runs, titles) {
  const names = new Map(runs.map((run) => [run.id, run.name]));
  return queue.map((id, number) => ({ id, name: names.get(id) ?? titles[id] ?? id, number, last: number === queue.length - 1 }));
}
