// Windows over the page: the browser's own <dialog>, which keeps the keyboard inside and closes with Escape.

import { button, el } from "./dom.mjs";

/** Shows content until `close(result)` is called; Escape and the × close with null. Returns the result. */
export function dialog(app, title, content, { wide = false } = {}) {
  return new Promise((resolve) => {
    let result = null;
    const node = el(`dialog.dialog${wide ? ".wide" : ""}`, { "aria-label": title });
    const close = (value = null) => {
      result = value;
      node.close();
    };
    node.append(
      el("div.dialog-head", {}, el("h2.title", {}, title), button("×", () => close(), { kind: "icon", "aria-label": "Close" })),
      content(close),
    );
    node.addEventListener("close", () => {
      node.remove();
      resolve(result);
    });
    node.addEventListener("click", (event) => {
      if (event.target === node) close();
    });
    app.root.append(node);
    node.showModal();
  });
}

/** Asks before something that can't be taken back easily. */
export function confirm(app, title, text, yes, { extra = null } = {}) {
  return dialog(app, title, (close) =>
    el(
      "div.stack",
      {},
      el("p", {}, text),
      extra,
      el("div.row.end", {}, button("Cancel", () => close(false)), button(yes, () => close(true), { kind: "danger", data: { action: "confirm" } })),
    ),
  );
}
