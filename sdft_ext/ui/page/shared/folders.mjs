// The folder picker: walks through the folders that the server allows.

import { sentenceOf } from "./api.mjs";
import { dialog } from "./dialog.mjs";
import { button, el, fill } from "./dom.mjs";
import { count } from "./numbers.mjs";

/** @import { App } from "../types.d.ts" */

/**
 * The answer of `GET folders`.
 * @typedef {{ path: string, parent: string | null, folders: { name: string, path: string, pictures: number }[], pictures: number }} Listing
 */

/**
 * Says where links in a folder may lead besides the folder itself: where the recipe says, so that what is shown is what is trained.
 * @param {Pick<App, "draft">} app
 * @returns {{ linked_folder?: string }}
 */
export function linksOf(app) {
  const folder = app.draft.get("dataset.linked_folder");
  return folder ? { linked_folder: String(folder) } : {};
}

/**
 * Lets the user pick a folder on the server's machine. Returns its path, or null.
 * @param {App} app
 * @param {string} from the folder to begin with
 * @param {string} title
 * @returns {Promise<string | null>}
 */
export function chooseFolder(app, from, title) {
  return dialog(app, title, (close) => picker(app, from, close));
}

/** @param {App} app @param {string} from @param {(folder?: string | null) => void} close */
function picker(app, from, close) {
  const list = el("div.folder-list", { role: "list" });
  const message = el("p.problem", { role: "alert", hidden: true });
  const typed = el("input.input", { type: "text", spellcheck: "false", "aria-label": "Folder" });
  const here = el("p.help");
  let current = "";
  const use = button("Use this folder", () => close(typed.value.trim() || current), { kind: "primary", data: { action: "use" } });

  /** @param {string} path */
  const open = async (path) => {
    try {
      /** @type {Listing} */
      const found = await app.api.get("folders", path ? { path } : {});
      current = found.path ?? "";
      typed.value = current;
      message.hidden = true;
      here.textContent = current ? count(found.pictures ?? 0, "picture in this folder", "pictures in this folder") : "Folders you may use";
      use.disabled = !current;
      fill(list, current && row("↑ Parent folder", "", () => open(found.parent ?? ""), "up"), rows(found, open));
    } catch (error) {
      message.textContent = sentenceOf(error);
      message.hidden = false;
      if (path && !current) open("");
    }
  };
  typed.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      open(typed.value.trim());
    }
  });
  typed.addEventListener("input", () => {
    use.disabled = !typed.value.trim();
  });
  open(from.trim());
  return el(
    "div.stack",
    {},
    el("div.row.together", {}, typed, button("Go", () => open(typed.value.trim()))),
    message,
    here,
    list,
    el("div.row.end", {}, button("Cancel", () => close()), use),
  );
}

/** @param {Listing} found @param {(path: string) => unknown} open */
function rows({ folders }, open) {
  if (!folders.length) return [el("p.quiet", {}, "This folder has no subfolders.")];
  return folders.map((folder) => row(folder.name, folder.pictures ? count(folder.pictures, "picture", "pictures") : "", () => open(folder.path), "folder"));
}

/** @param {string} name @param {string} note @param {() => unknown} onclick @param {string} action */
function row(name, note, onclick, action) {
  return el(
    "div",
    { role: "listitem" },
    el("button.folder", { type: "button", onclick, data: { action } }, el("span", {}, name), el("span.quiet", {}, note)),
  );
}
