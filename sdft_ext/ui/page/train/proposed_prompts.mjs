// The prompts that a run proposes for its control pictures where a list of them is empty: shown below the empty list.

import { button, el, fill } from "../shared/dom.mjs";

/** @import { App } from "../types.d.ts" */

const LISTS = ["watch.concept_prompts", "watch.bleeding_prompts"];
/** How the empty prompt is shown. */
const EMPTY = "(empty prompt)";

/** Whether a path is a list of prompts for control pictures. @param {string} path */
export const isPrompts = (path) => LISTS.includes(path);

/** Makes what is shown below a list of prompts; it is hidden unless the list is empty and prompts are proposed. @param {App} app @param {string} path */
export function promptProposal(app, path) {
  const node = el("div.stack.tight", { hidden: true, data: { role: "proposal" } });
  const follow = () => {
    const prompts = app.proposals[path] ?? [];
    const own = app.draft.get(path);
    node.hidden = !prompts.length || (Array.isArray(own) && own.length > 0);
    if (node.hidden) return;
    fill(
      node,
      el("p.help", {}, "Empty: the run draws these."),
      el("ul.help", {}, prompts.map((prompt) => el("li", {}, prompt || EMPTY))),
      el("div.row", {}, button("Edit them", () => app.draft.set(path, [...prompts]), { kind: "small", data: { action: "edit-proposal" } })),
    );
  };
  app.whenProblems(node, follow);
  app.whenDraft(node, (paths) => {
    if (!paths || paths.includes(path)) follow();
  });
  return node;
}
