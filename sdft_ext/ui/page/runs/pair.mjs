// The two runs that are compared.

/**
 * Returns the marked runs after one was marked or unmarked: of three, the one that was marked first goes.
 * @param {string[]} pair ids
 * @param {string} id
 * @param {boolean} on
 */
export function chosenPair(pair, id, on) {
  const others = pair.filter((one) => one !== id);
  return on ? [...others, id].slice(-2) : others;
}
