// Where the cells of a grid lie, and which one a key leads to. A place is a cell's number, counted from 0 row by row.

/** Rows kept ready above and below what is in sight. */
const SPARE = 2;

/**
 * Returns the first row to keep ready, and the one after the last.
 * @param {number} top how far the grid is scrolled [pixels]
 * @param {number} view height of what is in sight [pixels]
 * @param {number} height of a row [pixels]
 */
export function rowsToKeep(top, view, height) {
  return [Math.max(Math.floor(top / height) - SPARE, 0), Math.ceil((top + view) / height) + SPARE];
}

/**
 * Returns how far to scroll so that a row is in sight.
 * @param {number} row
 * @param {number} top how far the grid is scrolled [pixels]
 * @param {number} view height of what is in sight [pixels]
 * @param {number} height of a row [pixels]
 */
export function scrolledTo(row, top, view, height) {
  const start = row * height;
  if (start < top) return start;
  return start + height > top + view ? start + height - view : top;
}

/**
 * Returns how many places a key leads on, or undefined for other keys. `page`: places of a full view.
 * @param {string} key
 * @param {number} columns
 * @param {number} page
 * @returns {number | undefined}
 */
export function keyStep(key, columns, page) {
  /** @type {Record<string, number>} */
  const steps = {
    ArrowRight: 1,
    ArrowLeft: -1,
    ArrowDown: columns,
    ArrowUp: -columns,
    PageDown: page,
    PageUp: -page,
    Home: -Infinity,
    End: Infinity,
  };
  return steps[key];
}

/**
 * Returns the place so many steps on. Up and down stay in their column: at the first and last row they do nothing, except that
 * the last row but one leads to the last place where the last row is shorter.
 * @param {number} place
 * @param {number} step
 * @param {number} columns
 * @param {number} total
 */
export function placeAfter(place, step, columns, total) {
  const to = place + step;
  const last = total - 1;
  if (Math.abs(step) === columns && columns > 1) {
    if (to < 0) return place;
    if (to > last) return Math.floor(place / columns) < Math.floor(last / columns) ? last : place;
  }
  return Math.min(Math.max(to, 0), last);
}
