// Ratings of a run's pictures: which one a picture has, which are proposed, and where each leads.

/** @import { CaptionFilter } from "../captions/types.d.ts" */
/** @import { Save } from "../types.d.ts" */
/** @import { RatedPicture, RatingKind, Ratings } from "../evaluate/types.d.ts" */

/** @typedef {Pick<RatedPicture, "set" | "number" | "step">} PicturePlace */

/** @param {PicturePlace} one @param {PicturePlace} other */
function same(one, other) {
  return one.set === other.set && one.number === other.number && one.step === other.step;
}

/**
 * Returns the kind of the rating that the user gave a picture; undefined where it has none.
 * @param {Ratings | null} ratings
 * @param {PicturePlace} place
 */
export function givenKind(ratings, place) {
  return kindOf(ratings, ratings?.given.find((one) => same(one, place))?.rating);
}

/**
 * Returns what the numbers propose for a picture; undefined for nothing.
 * @param {Ratings | null} ratings
 * @param {PicturePlace} place
 */
export function proposalOf(ratings, place) {
  return ratings?.proposed.find((one) => same(one, place));
}

/**
 * Says how near a picture is to the nearest instance picture; undefined where that isn't known.
 * @param {Ratings} ratings
 * @param {PicturePlace} place
 */
export function nearestOf(ratings, place) {
  const found = ratings.nearest.find((one) => same(one, place));
  if (!found) return undefined;
  const { name, distance, copied } = found;
  const far = `${Math.round(100 * distance)} % of what instance pictures usually are from each other`;
  return { ...found, text: `The nearest instance picture is ${name}, ${copied ? "which this one repeats: its distance is" : "at"} ${far}.` };
}

/** @param {Ratings | null} ratings @param {string | undefined} name */
export function kindOf(ratings, name) {
  return ratings?.kinds.find((kind) => kind.name === name);
}

/**
 * @typedef {object} RatingGroup
 * @property {RatingKind} kind
 * @property {boolean} proposed whether the numbers propose it, and nobody gave it
 * @property {PicturePlace[]} pictures
 */

/**
 * Groups a run's ratings for the page: all that the user gave, then what the numbers propose for the pictures of a step that the
 * user hasn't rated.
 * @param {Ratings} ratings
 * @param {number | undefined} step
 * @returns {RatingGroup[]}
 */
export function ratingGroups(ratings, step) {
  const { kinds, given, proposed } = ratings;
  const open = proposed.filter((one) => one.step === step && !given.some((other) => same(one, other)));
  const groups = (/** @type {RatedPicture[]} */ pictures, /** @type {boolean} */ isProposed) =>
    kinds.flatMap((kind) => {
      const own = pictures.filter(({ rating }) => rating === kind.name);
      return own.length ? [{ kind, proposed: isProposed, pictures: own }] : [];
    });
  return [...groups(given, false), ...groups(open, true)];
}

/**
 * Returns the save before a step; undefined where there is none.
 * @param {Save[]} saves oldest first
 * @param {number} step
 */
export function earlierSave(saves, step) {
  return saves.filter((save) => save.step < step).at(-1);
}

/**
 * Returns the filter of captions that have a word, or lack it.
 * @param {string} word
 * @param {string} target "with" or "without"
 * @returns {CaptionFilter}
 */
export function wordFilter(word, target) {
  const plain = word.trim();
  if (target === "with") return { text: plain };
  // Any text in which the word nowhere begins; brackets and the like stand for themselves.
  return { text: `^(?!.*${plain.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")})`, regex: true };
}

/** Returns the words of a prompt that may name what is unwanted, each once. @param {string} prompt */
export function promptWords(prompt) {
  return [...new Set(prompt.split(/[^\p{L}\p{N}'’-]+/u).filter((word) => word.length > 2))];
}

/** Returns the address of a rated picture below /sdft/v1/. @param {string} run already escaped @param {PicturePlace} place */
export function pictureAddress(run, { set, number, step }) {
  return set === "words" ? `runs/${run}/words/${step}/${number}` : `runs/${run}/controls/${set}/${number}/${step}`;
}
