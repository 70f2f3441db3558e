// The bar of panels: click, arrow keys, Home and End. Which one is open survives a reload.

import { el, freshId } from "./dom.mjs";
import { readText, writeText } from "./storage.mjs";

const KEPT = "sdft.panel";
const storage = () => sessionStorage;

/**
 * Makes the bar and the place for the panels.
 * @param {{ name: string, label: string, node: HTMLElement }[]} panels
 * @param {(name: string) => unknown} opened is called when a panel is opened
 * @param {string} first the panel that opens in a browser that hasn't kept one
 */
export function tabs(panels, opened, first = panels[0].name) {
  const body = el("div.body");
  const bar = el("div.tabs", { role: "tablist", "aria-label": "Fine-tune" });
  const all = panels.map(({ name, label, node }) => {
    const id = freshId("sdft-tab");
    const panel = el("div.panel", { id: `${id}-panel`, role: "tabpanel", "aria-labelledby": id, hidden: true }, node);
    const properties = { id, type: "button", role: "tab", "aria-controls": panel.id, tabIndex: -1, data: { panel: name } };
    const tab = el("button.tab", { ...properties, onclick: () => show(name) }, label);
    bar.append(tab);
    body.append(panel);
    return { name, tab, panel };
  });

  /** How far each panel was scrolled when it was left. @type {Map<string, number>} */
  const scrolled = new Map();

  /** @param {string} name */
  function show(name) {
    const before = all.find((one) => !one.panel.hidden)?.name;
    if (before) scrolled.set(before, window.scrollY);
    for (const one of all) {
      const chosen = one.name === name;
      one.panel.hidden = !chosen;
      one.tab.setAttribute("aria-selected", String(chosen));
      one.tab.tabIndex = chosen ? 0 : -1;
    }
    writeText(storage, KEPT, name);
    opened(name);
    const place = scrolled.get(name);
    if (before && before !== name && place !== undefined) window.scrollTo({ top: place });
  }

  bar.addEventListener("keydown", (event) => {
    const now = all.findIndex((one) => one.tab === document.activeElement);
    const place = destination(event.key, now, all.length);
    if (place === null) return;
    event.preventDefault();
    show(all[place].name);
    all[place].tab.focus();
  });

  return {
    bar,
    body,
    show,
    /** The panel that is open. */
    get chosen() {
      return all.find((one) => !one.panel.hidden)?.name;
    },
    /** Opens the panel that was open before a reload; returns whether there was one. */
    restore() {
      const name = readText(storage, KEPT);
      const known = name !== null && all.some((one) => one.name === name);
      show(known ? name : first);
      return known;
    },
  };
}

/**
 * Says which of `length` tabs a key leads to from tab `now`; null where the key moves nothing. The arrows go round.
 * @param {string} key
 * @param {number} now -1 where no tab has the focus
 * @param {number} length
 */
export function destination(key, now, length) {
  /** @type {Record<string, number>} */
  const places = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: length - 1 };
  if (now < 0 || !(key in places)) return null;
  return (places[key] + length) % length;
}
