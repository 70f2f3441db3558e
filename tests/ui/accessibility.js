// What the tests ask of the page as people use it who have no mouse, or enlarge it. Put into the page before its own code.

const INTERACTIVE = "a[href], button, input, select, textarea, summary, [tabindex]";
const NATIVE = "a[href], button, input, select, textarea, summary, label, option, dialog";
const CLICKS = ["click", "dblclick", "mousedown", "pointerdown"];
/** What reacts to clicks. @type {Set<WeakRef<Element>>} */
const listening = new Set();

const { addEventListener } = EventTarget.prototype;
EventTarget.prototype.addEventListener = function (type, ...rest) {
  if (CLICKS.includes(type) && this instanceof Element) listening.add(new WeakRef(this));
  return addEventListener.call(this, type, ...rest);
};

const visible = (node) => node.checkVisibility({ visibilityProperty: true });

/** Names an element so that one finds it. */
function named(node) {
  const { dataset } = node;
  const place = node.closest("[data-path], [data-dataset-path], [data-section], [role=tabpanel]");
  const within = place ? (place.dataset.path ?? place.dataset.datasetPath ?? place.dataset.section ?? "") : "";
  const name = node.getAttribute("aria-label") || dataset.action || node.labels?.[0]?.textContent || node.textContent || node.className;
  return `${node.localName}${within && `@${within}`} ${String(name).trim().slice(0, 40)}`;
}

/** What is in the way of the keyboard: the topmost window, or the page. */
const scope = () => [...document.querySelectorAll("dialog[open]")].at(-1) ?? document;

/** What Tab should reach, in the page's order: of a group of radio buttons one. */
function tabbable() {
  const groups = new Set();
  return [...scope().querySelectorAll(INTERACTIVE)].filter((node) => {
    if (node.disabled || node.tabIndex < 0 || !visible(node)) return false;
    if (node.type !== "radio") return true;
    const group = [...document.querySelectorAll(`input[name="${node.name}"]:enabled`)].filter(visible);
    const chosen = group.find((one) => one.checked) ?? group[0];
    return node === chosen && !groups.has(node.name) && groups.add(node.name);
  });
}

const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const colours = new Map();

/** A colour as red, green, blue and alpha from 0 to 255. */
function rgba(colour) {
  if (!colours.has(colour)) {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    colours.set(colour, [...context.getImageData(0, 0, 1, 1).data]);
  }
  return colours.get(colour);
}

const over = (front, back) => front.slice(0, 3).map((value, at) => value * (front[3] / 255) + back[at] * (1 - front[3] / 255));

/** What is behind an element. */
function ground(node) {
  if (!node) return [255, 255, 255];
  const colour = rgba(getComputedStyle(node).backgroundColor);
  return colour[3] === 255 ? colour.slice(0, 3) : over(colour, ground(node.parentElement));
}

function luminance(colour) {
  const [red, green, blue] = colour.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const ring = (node) => {
  const { outlineStyle, outlineWidth, outlineColor, outlineOffset } = getComputedStyle(node);
  return outlineStyle === "none" || !parseFloat(outlineWidth) ? null : { outlineColor, width: parseFloat(outlineWidth), inside: parseFloat(outlineOffset) < 0 };
};

/** Where a ring may be: on the element, on the card that it is in, or on its only child. */
const carriers = (node) => [node, ...[node.closest(".sdft-choice"), node.firstElementChild].filter(Boolean)];

/** What is drawn around an element, but not around what it is in together with `other`. */
const rings = (node, other = null) => JSON.stringify(carriers(node).filter((one) => !one.contains(other)).map(ring));

let last = null;
/** The ring around it. */
let lastRing = "";
/** What Tab should reach, as it was when the walk began. */
let way = [];

let area = document.documentElement;

/** Begins a walk at the start of a part of the page, or of the window over it; returns the names of what it should lead to. */
function begin(within) {
  const start = within ? document.querySelector(within) : scope() === document ? document.body : scope();
  area = start;
  start.tabIndex = -1;
  start.focus();
  start.removeAttribute("tabindex");
  last = null;
  way = tabbable().filter((node) => area.contains(node));
  return way.map(named);
}

/** Says what has the focus, and how one sees that; null for the page itself. */
function focused() {
  const node = document.activeElement;
  const stays = Boolean(last?.isConnected && last !== node && lastRing && rings(last, node) === lastRing);
  if (!node || node === document.body || node === document.documentElement || !area.contains(node)) {
    last = null;
    return null;
  }
  last = node;
  lastRing = rings(node);
  const carrier = carriers(node).find(ring);
  const found = carrier && ring(carrier);
  const behind = carrier && ground(found.inside ? carrier : carrier.parentElement);
  const { top, bottom, left: x, right } = node.getBoundingClientRect();
  return {
    name: named(node),
    place: way.indexOf(node),
    scroller: !node.matches(INTERACTIVE),
    ring: found ? found.width : 0,
    contrast: found ? contrast(over(rgba(found.outlineColor), behind), behind) : 0,
    inSight: bottom > 0 && top < innerHeight && right > 0 && x < innerWidth,
    stays,
  };
}

/** Names neighbours of which the later one in the order of Tab is seen before the other. */
function disordered() {
  const all = tabbable();
  return all.flatMap((node, at) => {
    const next = all[at + 1];
    if (!next || next.parentElement !== node.parentElement) return [];
    const [a, b] = [node.getBoundingClientRect(), next.getBoundingClientRect()];
    const before = b.bottom <= a.top + 1 || (b.right <= a.left + 1 && b.top < a.bottom - 1 && a.top < b.bottom - 1);
    return before ? [`${named(next)} is before ${named(node)}`] : [];
  });
}

/** Names what reacts to clicks and can't be reached by Tab, or doesn't say what it is. */
function unreachable() {
  const nodes = [...listening].map((one) => one.deref()).filter((node) => node?.isConnected && node.closest(".sdft") && visible(node));
  return nodes.filter((node) => !node.matches(NATIVE) && !operable(node)).map(named);
}

/** Whether an element, or what it belongs to, has a role and the keyboard's focus. */
function operable(node) {
  const widget = node.closest("[role][tabindex]") ?? node;
  const inside = [...widget.querySelectorAll("[role][tabindex='0']")];
  return widget.hasAttribute("role") && (widget.tabIndex === 0 || inside.length > 0);
}

/** The part of a box that can be scrolled into view and isn't cut off, and what cuts it. */
function shown(node, rect) {
  let { left, right, top, bottom } = rect;
  let cutBy = null;
  let scrolls = false;
  for (let outer = node.parentElement; outer && outer !== document.documentElement; outer = outer.parentElement) {
    const { overflowX, overflowY, position } = getComputedStyle(outer);
    const box = outer.getBoundingClientRect();
    if (/auto|scroll/.test(overflowX) && outer.scrollWidth > outer.clientWidth + 1) scrolls = true;
    if (/hidden|clip/.test(overflowX) && (left < box.left - 1 || right > box.right + 1)) cutBy ??= outer;
    if (/hidden|clip/.test(overflowY) && (top < box.top - 1 || bottom > box.bottom + 1)) cutBy ??= outer;
    if (/auto|scroll/.test(`${overflowX}${overflowY}`)) [left, right, top, bottom] = [Math.max(left, box.left), Math.min(right, box.right), Math.max(top, box.top), Math.min(bottom, box.bottom)];
    if (position === "fixed") break;
  }
  return { left, right, top, bottom, cutBy, scrolls };
}

/** Names what is wrong with how the page fits into its width: it scrolls sideways, or controls are cut off or overlap. */
function misfits() {
  const root = document.documentElement;
  const found = root.scrollWidth > root.clientWidth ? [`the page is ${root.scrollWidth - root.clientWidth} pixels too wide`] : [];
  const controls = [...scope().querySelectorAll(INTERACTIVE)].filter((node) => visible(node) && !node.closest(".sdft-spoken"));
  // A link in a sentence has a box for each line.
  const boxes = controls.flatMap((node) => [...node.getClientRects()].map((rect) => ({ node, box: shown(node, rect) })));
  for (const { node, box } of boxes) {
    const whole = node.getBoundingClientRect();
    if (box.cutBy) found.push(`${named(node)} is cut off by ${named(box.cutBy)}`);
    else if (!box.scrolls && (whole.left < -1 || whole.right > root.clientWidth + 1)) found.push(`${named(node)} is off the page`);
    const style = getComputedStyle(node);
    if (node.localName === "button" && node.scrollWidth > node.clientWidth + 2 && style.textOverflow !== "ellipsis") found.push(`the text of ${named(node)} doesn't fit`);
  }
  return [...found, ...overlaps(boxes)];
}

/** Names pairs of controls that lie on one another by more than two pixels. */
function overlaps(boxes) {
  const real = boxes.filter(({ node, box }) => box.right - box.left > 4 && box.bottom - box.top > 4 && getComputedStyle(node).position !== "sticky" && !node.closest("thead, .sdft-cap-sides-bar"));
  return real.flatMap(({ node: one, box: a }, at) =>
    real.slice(at + 1).flatMap(({ node: other, box: b }) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      return across > 2 && down > 2 && one !== other && !one.contains(other) && !other.contains(one) ? [`${named(one)} lies on ${named(other)}`] : [];
    }),
  );
}

window.sdftTest = { begin, focused, disordered, unreachable, misfits };
