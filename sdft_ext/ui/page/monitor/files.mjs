// Where a run's files are, and how to see them in TensorBoard.

import { copyButton } from "../shared/copy.mjs";
import { el, fill } from "../shared/dom.mjs";
import { boardCommand } from "./run_text.mjs";

/** @import { RunDetail } from "../types.d.ts" */

export class RunFiles {
  #content = el("div.stack.tight");
  #shown = "";
  node = el("details.card.fold", { data: { role: "files" } }, el("summary", {}, "Files and TensorBoard"), this.#content);

  /** @param {RunDetail} detail */
  show({ folder, tensorboard }) {
    const shown = `${folder}\n${tensorboard}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    fill(
      this.#content,
      el("p.help", {}, "The run's folder on the computer that trains. It has the recipe, the log, the control pictures and the report."),
      copyLine(folder, "folder"),
      tensorboard
        ? el("p.help", {}, "TensorBoard shows the losses and learning rates of one or more runs. Where it is installed, this command starts it:")
        : el("p.help", {}, "This run has no files for TensorBoard: it writes them if TensorBoard is on under Watching."),
      tensorboard && copyLine(boardCommand(tensorboard), "tensorboard"),
    );
  }
}

/**
 * @param {string} text
 * @param {string} name of the button's action
 */
function copyLine(text, name) {
  const code = el("code.command", {}, text);
  return el("div.row.wrap", {}, code, copyButton(code, text, { data: { action: `copy-${name}` }, "aria-label": `Copy ${text}` }));
}
