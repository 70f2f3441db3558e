// What differs between two captions, word by word.

/** @typedef {["same" | "old" | "new", string]} Change A piece of text, and what became of it. */

/** Texts with more pieces than this are compared from both ends only. */
const MOST_PIECES = 600;

/**
 * Returns what became of a text, as a list of [`same` | `old` | `new`, piece].
 * @param {string} before
 * @param {string} after
 * @returns {Change[]}
 */
export function changes(before, after) {
  const a = pieces(before);
  const b = pieces(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const middle = difference(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return joined([["same", a.slice(0, start).join("")], ...middle, ["same", a.slice(a.length - end).join("")]]);
}

/**
 * Joins what goes and what comes into one piece each: the spaces between two changed words belong to the change.
 * @param {Change[]} all
 */
function joined(all) {
  /** @type {Change[]} */
  const found = [];
  let [old, now] = ["", ""];
  const put = () => {
    if (old) found.push(["old", old]);
    if (now) found.push(["new", now]);
    old = now = "";
  };
  all.forEach(([kind, piece], at) => {
    if (kind === "old") old += piece;
    else if (kind === "new") now += piece;
    else if (!piece) return;
    else if (old && now && !piece.trim() && at + 1 < all.length && all[at + 1][0] !== "same") {
      old += piece;
      now += piece;
    } else {
      put();
      const last = found.at(-1);
      if (last?.[0] === "same") last[1] += piece;
      else found.push(["same", piece]);
    }
  });
  put();
  return found;
}

/** @param {string} text */
function pieces(text) {
  return text.match(/\s+|[^\s,]+|,/g) ?? [];
}

/**
 * Keeps the longest common subsequence of two lists of pieces; the rest goes or comes.
 * @param {string[]} a
 * @param {string[]} b
 * @returns {Change[]}
 */
function difference(a, b) {
  if (!a.length || !b.length || a.length > MOST_PIECES || b.length > MOST_PIECES)
    return [
      ["old", a.join("")],
      ["new", b.join("")],
    ];
  const width = b.length + 1;
  const length = commonLengths(a, b);
  /** @type {Change[]} */
  const found = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push(["same", a[i]]);
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || length[(i + 1) * width + j] >= length[i * width + j + 1])) found.push(["old", a[i++]]);
    else found.push(["new", b[j++]]);
  }
  return found;
}

/**
 * Returns the table of common lengths: at `i * (b.length + 1) + j`, that of the tails `a[i:]` and `b[j:]`.
 * @param {string[]} a
 * @param {string[]} b
 */
function commonLengths(a, b) {
  const width = b.length + 1;
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] =
        a[i] === b[j] ? length[(i + 1) * width + j + 1] + 1 : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  return length;
}
