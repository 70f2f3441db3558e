// Builds elements. Text only ever goes in as text: names, captions and errors of users are never read as HTML.

const PROPERTIES = new Set(["value", "checked", "disabled", "open", "htmlFor", "indeterminate", "selected", "tabIndex", "hidden"]);

/** An element: `el("div.card", {onclick: f, data: {path: "x"}}, "text", child)`. Empty children are left out. */
export function el(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag || "div");
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

export function button(label, onclick, { kind = "plain", ...properties } = {}) {
  return el(`button.button.${kind}`, { type: "button", onclick, ...properties }, label);
}

/** Puts children into an element instead of those it has. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
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
 */
export function keyed(container, items, key, build) {
  const old = container.sdftItems ?? new Map();
  const now = new Map();
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  const focusedAction = focused?.dataset.action;
  let refocus = null;
  for (const item of items) {
    const name = key(item);
    const text = JSON.stringify(item);
    const before = old.get(name);
    let node = before?.node;
    if (!before || before.text !== text) {
      node = build(item);
      if (before?.node.contains(focused)) refocus = node;
    }
    now.set(name, { node, text });
  }
  const wanted = [...now.values()].map((entry) => entry.node);
  const current = [...container.children];
  if (wanted.length !== current.length || wanted.some((node, i) => node !== current[i])) container.replaceChildren(...wanted);
  container.sdftItems = now;
  if (refocus && focusedAction) refocus.querySelector(`[data-action="${focusedAction}"]`)?.focus();
  else if (focused && container.contains(focused) && document.activeElement !== focused) focused.focus();
}

/** Calls `act` once, when `wait` milliseconds have passed without another call. */
export function debounced(act, wait) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), wait);
  };
}
