// The Markdown of a run's report, taken apart: as much of it as watch/report.md.jinja uses.

/**
 * @typedef {{ kind: "text" | "strong" | "link" | "image", text: string, target?: string }} Piece `target`: of a link or an image
 * @typedef {{ kind: "heading", level: number, pieces: Piece[] } | { kind: "paragraph", pieces: Piece[] } | { kind: "list", items: Piece[][] } | { kind: "table", head: Piece[][], rows: Piece[][][] }} Block
 */

const HEADING = /^(#{1,6}) (.*)$/;
/** What a text of the report can begin with that isn't plain, in the order in which it is tried. */
const SPECIAL = /\\([\\`*_[\]|~#!])|&(amp|lt|gt);|\*\*((?:\\.|[^*\\])+)\*\*|(!?)\[((?:\\.|[^\]\\])*)\]\(([^()\s]*)\)/g;
/** @type {Record<string, string>} */
const ENTITIES = { amp: "&", lt: "<", gt: ">" };

/**
 * Takes a report apart into headings, paragraphs, lists and tables.
 * @param {string} text
 * @returns {Block[]}
 */
export function reportBlocks(text) {
  /** @type {Block[]} */
  const found = [];
  const lines = text.split("\n").map((line) => line.trim());
  for (let place = 0; place < lines.length; ) {
    const line = lines[place];
    const heading = HEADING.exec(line);
    if (!line) place += 1;
    else if (heading) {
      found.push({ kind: "heading", level: heading[1].length, pieces: pieces(heading[2]) });
      place += 1;
    } else {
      const same = run(lines, place);
      place += same.length;
      if (line.startsWith("|")) found.push(table(same));
      else if (line.startsWith("- ")) found.push({ kind: "list", items: same.map((one) => pieces(one.slice(2))) });
      else found.push({ kind: "paragraph", pieces: pieces(same.join(" ")) });
    }
  }
  return found;
}

/** Returns the lines from a place on that are of the same kind as the first. @param {string[]} lines @param {number} place */
function run(lines, place) {
  const kind = kindOf(lines[place]);
  let end = place + 1;
  while (end < lines.length && kindOf(lines[end]) === kind) end += 1;
  return lines.slice(place, end);
}

/** @param {string} line */
function kindOf(line) {
  if (!line) return "empty";
  if (HEADING.test(line)) return "heading";
  if (line.startsWith("|")) return "table";
  return line.startsWith("- ") ? "list" : "text";
}

/** @param {string[]} lines the head, a line of dashes, and rows @returns {Block} */
function table([head, , ...rows]) {
  return { kind: "table", head: cells(head), rows: rows.map(cells) };
}

/** @param {string} line */
function cells(line) {
  const inner = line.replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => pieces(cell.trim()));
}

/**
 * Takes a line apart into plain, strong, linked and pictured text.
 * @param {string} text
 * @returns {Piece[]}
 */
function pieces(text) {
  /** @type {Piece[]} */
  const found = [];
  /** @param {string} more */
  const plain = (more) => {
    const last = found.at(-1);
    if (last?.kind === "text") last.text += more;
    else if (more) found.push({ kind: "text", text: more });
  };
  let place = 0;
  for (const match of text.matchAll(SPECIAL)) {
    const [whole, escaped, entity, strong, image, label, target] = match;
    plain(text.slice(place, match.index));
    place = match.index + whole.length;
    if (escaped !== undefined) plain(escaped);
    else if (entity !== undefined) plain(ENTITIES[entity]);
    else if (strong !== undefined) found.push({ kind: "strong", text: unescaped(strong) });
    else found.push({ kind: image ? "image" : "link", text: unescaped(label), target });
  }
  plain(text.slice(place));
  return found;
}

/** @param {string} text */
function unescaped(text) {
  return pieces(text)
    .map((piece) => piece.text)
    .join("");
}

/**
 * Gives the route, below the run's own, of a picture that a report names; null for any other file.
 * @param {string} path relative to the run's folder
 */
export function pictureRoute(path) {
  if (path === "loss.png") return "loss";
  if (path === "controls/grid.png") return "grid";
  const control = /^controls\/(concept|bleeding)\/(\d+)\/step-(\d+)\.png$/.exec(path);
  return control && `controls/${control[1]}/${Number(control[2])}/${Number(control[3])}`;
}
