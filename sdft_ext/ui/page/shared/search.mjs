// Searching lists by words.

/**
 * Returns what says whether a text has every word of a search, in any order and in upper or lower case.
 * @param {string} search
 */
export function matcher(search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  /** @param {string} text */
  return (text) => words.every((word) => text.toLowerCase().includes(word));
}
