// Captions as words: their tags, and what differs between two of them.

import { el } from "../shared/dom.mjs";

/** The comma-separated tags of a caption, without empty ones. */
export function tagsOf(text) {
  return text.split(",").map((tag) => tag.trim()).filter(Boolean);
}

/** A tag as it is compared: in small letters, one space between words. */
export function plainTag(tag) {
  return tag.trim().toLowerCase().replace(/\s+/g, " ");
}

/** Texts with more pieces than this are compared from both ends only. */
const MOST_PIECES = 600;

/** What became of a text: a list of [`same` | `old` | `new`, piece]. */
export function changes(before, after) {
  const a = pieces(before);
  const b = pieces(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const middle = between(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return joined([["same", a.slice(0, start).join("")], ...middle, ["same", a.slice(a.length - end).join("")]]);
}

/** What goes and what comes, each in one piece: the spaces between two changed words belong to the change. */
function joined(all) {
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
    else if ((old || now) && !piece.trim() && at + 1 < all.length && all[at + 1][0] !== "same") {
      if (old) old += piece;
      if (now) now += piece;
    } else {
      put();
      if (found.at(-1)?.[0] === "same") found.at(-1)[1] += piece;
      else found.push(["same", piece]);
    }
  });
  put();
  return found;
}

/** The same as elements: what goes struck through, what comes underlined by colour; both are said to screen readers. */
export function changeNode(before, after) {
  return el(
    "span",
    {},
    changes(before, after).map(([kind, piece]) => (kind === "same" ? piece : el(kind === "old" ? "del" : "ins", {}, piece))),
  );
}

function pieces(text) {
  return text.match(/\s+|[^\s,]+|,/g) ?? [];
}

/** The longest common pieces stay; the rest goes or comes. */
function between(a, b) {
  if (!a.length || !b.length || a.length > MOST_PIECES || b.length > MOST_PIECES) return [["old", a.join("")], ["new", b.join("")]];
  const width = b.length + 1;
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] = a[i] === b[j] ? length[(i + 1) * width + j + 1] + 1 : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  const found = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push(["same", a[i]]);
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || length[(i + 1) * width + j] >= length[i * width + j + 1])) found.push(["old", a[i++]]);
    else found.push(["new", b[j++]]);
  }
  return found;
}
