// Builds elements. Text only ever goes in as text: names, captions and errors of users are never read as HTML.

/** @import { Children, ElementOf, Properties } from "../types.d.ts" */

const PROPERTIES = new Set(["value", "checked", "disabled", "open", "htmlFor", "indeterminate", "selected", "tabIndex", "hidden"]);

/**
 * An element: `el("div.card", {onclick: f, data: {path: "x"}}, "text", child)`. Empty children are left out.
 * @template {string} Name
 * @param {Name} name
 * @param {Properties} [properties]
 * @param {Children} children
 * @returns {ElementOf<Name>}
 */
export function el(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = /** @type {any} */ (document.createElement(tag || "div"));
  if (classes.length) node.className = classes.map((one) => `sdft-${one}`).join(" ");
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(node.dataset, value);
    else if (PROPERTIES.has(key)) node[key] = value;
    else if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  return node;
}

/**
 * @param {string} label
 * @param {((event: MouseEvent) => unknown) | null} onclick
 * @param {Properties & { kind?: string }} [properties]
 */
export function button(label, onclick, { kind = "plain", ...properties } = {}) {
  return el(`button.button.${kind}`, { type: "button", onclick, ...properties }, label);
}

/**
 * Puts children into an element instead of those it has.
 * @template {Element} Parent
 * @param {Parent} node
 * @param {Children} children
 */
export function fill(node, ...children) {
  node.replaceChildren(.../** @type {Node[]} */ (children.flat().filter((child) => child !== null && child !== undefined && child !== false)));
  return node;
}

let last = 0;
/** An id that no other element of the page has. */
export function freshId(prefix = "sdft") {
  last += 1;
  return `${prefix}-${last}`;
}

/**
 * Shows a list of items, one element each, and touches only what has changed: focus and open menus stay where they are.
 * `key` names an item, `build` makes its element.
 * @template Item
 * @param {HTMLElement & { sdftItems?: Map<string, { node: HTMLElement, text: string }> }} container
 * @param {Item[]} items
 * @param {(item: Item) => string} key
 * @param {(item: Item) => HTMLElement} build
 */
export function keyed(container, items, key, build) {
  const old = container.sdftItems ?? new Map();
  const now = new Map();
  const focused = container.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
  const focusedAction = focused?.dataset.action;
  let refocus = null;
  for (const item of items) {
    const name = key(item);
    const text = JSON.stringify(item);
    const before = old.get(name);
    const node = before?.text === text ? before.node : build(item);
    if (before && before.node !== node && before.node.contains(focused)) refocus = node;
    now.set(name, { node, text });
  }
  const wanted = [...now.values()].map((entry) => entry.node);
  const current = [...container.children];
  if (wanted.length !== current.length || wanted.some((node, i) => node !== current[i])) container.replaceChildren(...wanted);
  container.sdftItems = now;
  if (refocus && focusedAction) /** @type {HTMLElement | null} */ (refocus.querySelector(`[data-action="${focusedAction}"]`))?.focus();
  else if (focused && container.contains(focused) && document.activeElement !== focused) focused.focus();
}

/**
 * Calls `act` once, when `wait` milliseconds have passed without another call.
 * @template {any[]} Values
 * @param {(...values: Values) => unknown} act
 * @param {number} wait
 * @returns {(...values: Values) => void}
 */
export function debounced(act, wait) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), wait);
  };
}
