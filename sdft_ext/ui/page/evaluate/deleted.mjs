// Saves that were deleted: they are in the run's trash, and can be restored.

import { part } from "../shared/api.mjs";
import { button, el } from "../shared/dom.mjs";

/** @import { App, RunDetail, Save } from "../types.d.ts" */

/**
 * Makes the button that deletes a save. `changed()` is called afterwards.
 * @param {App} app
 * @param {string} run
 * @param {Save} save
 * @param {() => unknown} changed
 */
export function deleteButton(app, run, { name, step }, changed) {
  const act = () =>
    app.attempt(async () => {
      await app.api.post(`runs/${part(run)}/saves/${step}/trash`);
      app.say(`${name} is in the run's trash. It can be restored below the table.`);
      await changed();
    }, pressed);
  const pressed = button("Delete", act, { kind: "small", "aria-label": `Delete ${name}`, data: { action: "delete-save" } });
  return pressed;
}

/**
 * Lists the deleted saves; null where there are none.
 * @param {App} app
 * @param {RunDetail} detail
 * @param {() => unknown} changed called when one was restored
 */
export function deletedSaves(app, { id, deleted }, changed) {
  if (!deleted.length) return null;
  const items = deleted.map((save) => {
    const act = () =>
      app.attempt(async () => {
        await app.api.post(`runs/${part(id)}/saves/restore`, { id: save.id });
        app.say(`${save.name} is restored.`);
        await changed();
      }, pressed);
    const pressed = button("Restore", act, { kind: "small", "aria-label": `Restore ${save.name}`, data: { action: "restore-save" } });
    return el("li.row.wrap", {}, el("span.save-name", {}, save.name), el("span.help", {}, `Step ${save.step}`), pressed);
  });
  return el("div.stack.tight", { data: { role: "deleted" } }, el("h3.subtitle", {}, "Deleted saves"), el("ul.deleted-saves", {}, items));
}
