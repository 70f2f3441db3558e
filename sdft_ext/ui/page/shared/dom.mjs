// Builds elements. Text only ever goes in as text: names, captions and errors of users are never read as HTML.

/** @import { Child, ElementOf, Properties } from "../types.d.ts" */

const PROPERTIES = new Set(["value", "checked", "disabled", "open", "htmlFor", "indeterminate", "selected", "tabIndex", "hidden"]);

/**
 * Makes an element: `el("div.card", {onclick: f, data: {path: "x"}}, "text", child)`. Classes get the prefix `sdft-`.
 * @template {string} S
 * @param {S} name
 * @param {Properties} properties
 * @param {...(Child | Child[])} children
 * @returns {ElementOf<S>}
 */
export function el(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.map((one) => `sdft-${one}`).join(" ");
  node.append(...present(children));
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
    else if (key === "data") Object.assign(node.dataset, value);
    else if (PROPERTIES.has(key)) Reflect.set(node, key, value);
    else if (value !== false) node.setAttribute(key, value === true ? "" : String(value));
  }
  return /** @type {ElementOf<S>} */ (node);
}

/**
 * Makes a button that calls `onclick`.
 * @param {string} label
 * @param {((event: MouseEvent) => unknown) | null} onclick
 * @param {Properties & { kind?: string }} options kind: classes, such as "small"
 */
export function button(label, onclick, { kind = "plain", ...properties } = {}) {
  return el(`button.button.${kind}`, { type: "button", onclick, ...properties }, label);
}

/**
 * Replaces an element's children.
 * @template {Element} N
 * @param {N} node
 * @param {...(Child | Child[])} children
 */
export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

/** @param {(Child | Child[])[]} children */
function present(children) {
  const found = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  return found.map((child) => (typeof child === "number" ? String(child) : child));
}

/**
 * Makes the place of a message that comes later: what a screen reader reads aloud must be put into a place that is there already.
 * It takes no room while all in it is hidden.
 * @param {...(Child | Child[])} children
 */
export function live(...children) {
  return el("div.live", { role: "status" }, ...children);
}

let last = 0;
/** Gives an id that no other element of the page has. */
export function freshId(prefix = "sdft") {
  last += 1;
  return `${prefix}-${last}`;
}

/** What each container of `keyed` shows. @type {WeakMap<Element, Map<string, { node: HTMLElement, text: string }>>} */
const shownItems = new WeakMap();

/**
 * Shows a list of items, one element each, and touches only what has changed: focus and open menus stay where they are.
 * @template T
 * @param {Element} container
 * @param {T[]} items
 * @param {(item: T) => string} key names an item
 * @param {(item: T) => HTMLElement} build makes its element
 */
export function keyed(container, items, key, build) {
  const old = shownItems.get(container) ?? new Map();
  const now = new Map();
  const active = document.activeElement;
  const focused = active instanceof HTMLElement && container.contains(active) ? active : null;
  /** @type {HTMLElement | null} */
  let rebuilt = null;
  for (const item of items) {
    const name = key(item);
    const text = JSON.stringify(item);
    const before = old.get(name);
    let node = before?.node;
    if (!node || before?.text !== text) {
      node = build(item);
      if (before?.node.contains(focused)) rebuilt = node;
    }
    now.set(name, { node, text });
  }
  const place = [...old.values()].findIndex((entry) => entry.node.contains(focused));
  const nodes = [...now.values()].map((entry) => entry.node);
  const current = [...container.children];
  if (nodes.length !== current.length || nodes.some((node, place) => node !== current[place])) container.replaceChildren(...nodes);
  shownItems.set(container, now);
  if (rebuilt && focused?.dataset.action) focusAction(rebuilt, focused.dataset.action);
  else if (focused && container.contains(focused) && document.activeElement !== focused) focused.focus();
  else if (focused && place >= 0 && !container.contains(focused)) focusFirst(nodes[Math.min(place, nodes.length - 1)]);
}

/** Focuses the first control in an element. @param {Element | undefined} node */
function focusFirst(node) {
  const first = node?.querySelector("button:enabled, input:enabled, select:enabled");
  if (first instanceof HTMLElement) first.focus({ preventScroll: true });
}

/**
 * Returns what gives a pressed button the keyboard's focus back, which it loses while it is disabled. Where the button is gone,
 * the focus goes to the first control of what it was in.
 * @param {HTMLElement | null} pressed
 */
export function focusKeeper(pressed) {
  if (!pressed || document.activeElement !== pressed) return () => {};
  /** @type {Element[]} */
  const outer = [];
  for (let node = pressed.parentElement; node; node = node.parentElement) outer.push(node);
  return () => {
    if (document.activeElement !== document.body) return;
    if (pressed.isConnected) pressed.focus({ preventScroll: true });
    else focusFirst(outer.find((node) => node.isConnected));
  };
}

/** @param {HTMLElement} node @param {string} action */
function focusAction(node, action) {
  const same = node.querySelector(`[data-action="${action}"]`);
  if (same instanceof HTMLElement) same.focus();
}

/**
 * Calls `act` once, when `wait` milliseconds have passed without another call.
 * @template {unknown[]} A
 * @param {(...values: A) => unknown} act
 * @param {number} wait
 * @returns {(...values: A) => void}
 */
export function debounced(act, wait) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), wait);
  };
}
