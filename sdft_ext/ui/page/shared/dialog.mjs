// Windows over the page: the browser's own <dialog>, which keeps the keyboard inside and closes with Escape.

import { button, el, fill } from "./dom.mjs";

/** @import { App, Child } from "../types.d.ts" */

/**
 * Shows content until `close(result)` is called; Escape and the × close with null. Returns the result.
 * @template T
 * @param {App} app
 * @param {string} title
 * @param {(close: (value?: T | null) => void) => Child} content
 * @param {{ wide?: boolean }} options
 * @returns {Promise<T | null>}
 */
export function dialog(app, title, content, { wide = false } = {}) {
  return new Promise((resolve) => {
    /** @type {T | null} */
    let result = null;
    const node = el(`dialog.dialog${wide ? ".wide" : ""}`, { "aria-label": title });
    /** @param {T | null} value */
    const close = (value = null) => {
      result = value;
      node.close();
    };
    fill(
      node,
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

/**
 * Shows a sentence at the top of the topmost window, in place of an earlier one. Returns what takes it away; null where no
 * window is open.
 * @param {HTMLElement} root the page
 * @param {string} text
 * @param {"good" | "bad" | "plain" | "warn"} kind
 */
export function messageInWindow(root, text, kind) {
  const open = [...root.querySelectorAll("dialog[open]")].at(-1);
  if (!open) return null;
  const message = open.querySelector("[data-role=message]") ?? el("div", { data: { role: "message" } });
  const sentence = el(`div.notice.${kind}`, { role: kind === "bad" ? "alert" : "status" }, el("span", {}, text));
  fill(message, sentence);
  if (!message.isConnected) open.firstElementChild?.after(message);
  return () => sentence.remove();
}

/**
 * Asks before something that is hard to undo.
 * @param {App} app
 * @param {string} title
 * @param {string} text
 * @param {string} yes the label of the button that does it
 * @param {{ extra?: Child }} options extra: shown below the text
 * @returns {Promise<boolean | null>}
 */
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
