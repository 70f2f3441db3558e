// The folder picker: walks through the folders that the server allows.

import { button, el, fill } from "./dom.mjs";
import { dialog } from "./dialog.mjs";
import { count } from "./numbers.mjs";

/** Lets the user pick a folder on the server's machine. Returns its path, or null. */
export function chooseFolder(app, from, title) {
  return dialog(app, title, (close) => {
    const list = el("div.folder-list", { role: "list" });
    const message = el("p.problem", { role: "alert", hidden: true });
    const typed = el("input.input", { type: "text", spellcheck: "false", "aria-label": "Folder" });
    const here = el("p.help");
    let current = "";
    const use = button("Use this folder", () => close(typed.value.trim() || current), { kind: "primary", data: { action: "use" } });

    const open = async (path) => {
      try {
        const found = await app.api.get("folders", path ? { path } : {});
        current = found.path ?? "";
        typed.value = current;
        message.hidden = true;
        here.textContent = current ? count(found.pictures ?? 0, "picture in this folder", "pictures in this folder") : "Folders you may use";
        use.disabled = !current;
        const up = current && row("↑ One up", "", () => open(found.parent ?? ""), "up");
        fill(
          list,
          up,
          found.folders.map((folder) =>
            row(folder.name, folder.pictures ? count(folder.pictures, "picture", "pictures") : "", () => open(folder.path), "folder"),
          ),
          !found.folders.length && el("p.quiet", {}, "No folders in here."),
        );
      } catch (error) {
        message.textContent = error.message;
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
  });
}

function row(name, note, onclick, action) {
  return el(
    "div",
    { role: "listitem" },
    el("button.folder", { type: "button", onclick, data: { action } }, el("span", {}, name), el("span.quiet", {}, note)),
  );
}
