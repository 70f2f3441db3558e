// The bar of panels: click, arrow keys, Home and End. Which one is open survives a reload.

import { el, freshId } from "./dom.mjs";

const KEPT = "sdft.panel";

/** `first` is the panel that opens in a browser that has kept none. */
export function tabs(panels, opened, first = panels[0].name) {
  const body = el("div.body");
  const bar = el("div.tabs", { role: "tablist", "aria-label": "Fine-tune" });
  const all = panels.map(({ name, label, node }) => {
    const id = freshId("sdft-tab");
    const panel = el("div.panel", { id: `${id}-panel`, role: "tabpanel", "aria-labelledby": id, hidden: true }, node);
    const tab = el("button.tab", {
      id,
      type: "button",
      role: "tab",
      "aria-controls": panel.id,
      tabIndex: -1,
      data: { panel: name },
      onclick: () => show(name),
    }, label);
    bar.append(tab);
    body.append(panel);
    return { name, tab, panel };
  });

  function show(name) {
    for (const one of all) {
      const chosen = one.name === name;
      one.panel.hidden = !chosen;
      one.tab.setAttribute("aria-selected", String(chosen));
      one.tab.tabIndex = chosen ? 0 : -1;
    }
    try {
      sessionStorage.setItem(KEPT, name);
    } catch {
      // Without storage the page opens with the panel that newcomers see.
    }
    opened(name);
  }

  bar.addEventListener("keydown", (event) => {
    const now = all.findIndex((one) => one.tab === document.activeElement);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: all.length - 1 }[event.key];
    if (now < 0 || to === undefined) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    show(next.name);
    next.tab.focus();
  });

  return {
    bar,
    body,
    show,
    restore() {
      let name = null;
      try {
        name = sessionStorage.getItem(KEPT);
      } catch {
        // As above.
      }
      show(all.some((one) => one.name === name) ? name : first);
    },
  };
}
