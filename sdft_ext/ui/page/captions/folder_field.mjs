// The field that names the folder of the pictures.

import { aborted, sentenceOf } from "../shared/api.mjs";
import { button, el } from "../shared/dom.mjs";
import { chooseFolder } from "../shared/folders.mjs";

/** @import { App } from "../types.d.ts" */

const LABEL = "Folder of the pictures";

export class FolderField {
  #open;
  #input = el("input.input", {
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": LABEL,
    placeholder: LABEL,
    data: { action: "captions-folder" },
  });
  #busy = el("span.quiet", { role: "status", data: { role: "busy" } });
  /** What the field held when a folder was asked for last. */
  #asked = "";
  /** Shown below the field. */
  problem = el("p.problem", { role: "alert", hidden: true });

  /**
   * @param {App} app
   * @param {(folder: string) => Promise<void>} open
   */
  constructor(app, open) {
    this.#open = open;
    const browse = async () => {
      const chosen = await chooseFolder(app, this.#input.value, LABEL);
      if (chosen !== null) this.open(chosen);
    };
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.open(this.#input.value);
    });
    this.node = el(
      "div.cap-bar",
      {},
      el(
        "div.row.together.cap-folder",
        {},
        this.#input,
        button("Browse…", browse, { "aria-label": "Browse for the folder of the pictures", data: { action: "captions-browse" } }),
        button("Open", () => this.open(this.#input.value), { data: { action: "captions-open" } }),
      ),
      this.#busy,
    );
  }

  /**
   * Shows the name of the folder that is open now, unless the user has begun to type another one.
   * @param {string} folder
   */
  opened(folder) {
    if (this.#input.value.trim() === this.#asked) this.#ask(folder);
  }

  /** @param {string} folder */
  #ask(folder) {
    this.#input.value = this.#asked = folder;
  }

  /** @param {string} text what is going on */
  set busy(text) {
    this.#busy.textContent = text;
  }

  /**
   * Opens a folder; a failure is shown below the field.
   * @param {string} path
   */
  async open(path) {
    const folder = path.trim();
    this.#ask(folder);
    if (!folder) return;
    try {
      await this.#open(folder);
      this.problem.hidden = true;
    } catch (error) {
      if (aborted(error)) return;
      this.problem.textContent = sentenceOf(error);
      this.problem.hidden = false;
    }
  }
}
