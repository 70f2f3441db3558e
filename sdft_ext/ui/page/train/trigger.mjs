// What gives a concept a word: the trigger that the server suggests, and captions.

import { button, el, fill } from "../shared/dom.mjs";

/** @import { App } from "../types.d.ts" */

const TRIGGER = /^dataset\.concepts\.\d+\.trigger$/;

/** Whether a path is a concept's trigger. @param {string} path */
export const isTrigger = (path) => TRIGGER.test(path);

/** Makes the suggestion below a trigger's control; it is hidden while there is none. @param {App} app @param {string} path */
export function triggerSuggestion(app, path) {
  const node = el("div.row.wrap", { hidden: true, data: { role: "suggestion" } });
  const follow = () => {
    const word = app.suggestions[path];
    node.hidden = !word || app.draft.text(path) !== "";
    fill(node, word && useTrigger(app, path, word));
  };
  app.whenProblems(node, follow);
  app.whenDraft(node, (paths) => {
    if (!paths || paths.includes(path)) follow();
  });
  return node;
}

/**
 * Makes the buttons under a sentence that says that a trigger is missing.
 * @param {App} app
 * @param {string} path
 * @param {{ word: string | undefined, captions: boolean }} remedies captions: whether these would do, too
 */
export function triggerRemedies(app, path, { word, captions }) {
  const folder = app.draft.text(path.replace(/trigger$/, "instance"));
  return el(
    "div.row.wrap",
    {},
    word && useTrigger(app, path, word),
    captions && folder && button("Write captions", () => app.showCaptions(folder), { kind: "small", data: { action: "write-captions" } }),
  );
}

/** @param {App} app @param {string} path @param {string} word */
function useTrigger(app, path, word) {
  return button(`Use “${word}”`, () => app.draft.set(path, word), { kind: "small", title: `Set the trigger to ${word}: a rare word of the model's vocabulary that no caption contains`, data: { action: "use-trigger" } });
}
