// Runs that wait: their order can be changed with buttons or by dragging.

import { button, el, keyed } from "../shared/dom.mjs";
import { jobPath } from "../shared/run_widgets.mjs";

export function queueList(app) {
  const list = el("ol.queue", { "aria-label": "Waiting runs" });
  const empty = el("p.quiet", {}, "No run is waiting.");
  const held = el("div.notice.warn", { role: "status" }, el("span", {}, "The program was restarted: the waiting runs wait for your word."), button("Go on", () => app.attempt(async () => {
    await app.api.post(`${jobPath(app.runs.queue[0])}/resume`);
    await app.refresh();
  }), { kind: "small", data: { action: "release" } }));
  const going = el("p.help", { role: "status", hidden: true });
  const node = el("div.stack.tight", {}, held, going, list, empty);
  let dragged = null;

  const order = (ids) => app.attempt(async () => {
    await app.api.post("queue", { ids });
    await app.refresh();
  });
  const move = (id, to) => {
    const ids = app.runs.queue.filter((one) => one !== id);
    ids.splice(to, 0, id);
    order(ids);
  };

  const build = ({ id, name, number, last }) => {
    const item = el(
      "li.queue-item",
      { draggable: "true", data: { run: id } },
      el("span.grip", { "aria-hidden": "true" }, "⠿"),
      el("span.queue-name", {}, name),
      el("span.spring"),
      button("↑", () => move(id, number - 1), { kind: "icon", disabled: number === 0, "aria-label": `Move ${name} up`, data: { action: `up-${id}` } }),
      button("↓", () => move(id, number + 1), { kind: "icon", disabled: last, "aria-label": `Move ${name} down`, data: { action: `down-${id}` } }),
      button("Take out", () => app.attempt(async () => {
        await app.api.post(`${jobPath(id)}/stop`);
        await app.refresh();
      }), { kind: "small", "aria-label": `Take ${name} out of the queue`, data: { action: `out-${id}` } }),
    );
    item.addEventListener("dragstart", (event) => {
      dragged = id;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", name);
    });
    item.addEventListener("dragover", (event) => {
      if (!dragged || dragged === id) return;
      event.preventDefault();
      item.classList.add("sdft-over");
    });
    item.addEventListener("dragleave", () => item.classList.remove("sdft-over"));
    item.addEventListener("dragend", () => (dragged = null));
    item.addEventListener("drop", (event) => {
      event.preventDefault();
      item.classList.remove("sdft-over");
      if (dragged && dragged !== id) move(dragged, number);
      dragged = null;
    });
    return item;
  };

  const draw = () => {
    const named = new Map(app.runs.runs.map((run) => [run.id, run.name]));
    const { queue, drawing, titles = {} } = app.runs;
    going.hidden = !drawing;
    going.textContent = drawing ? `Being drawn now: ${titles[drawing] ?? drawing}` : "";
    keyed(list, queue.map((id, number) => ({ id, name: named.get(id) ?? titles[id] ?? id, number, last: number === queue.length - 1 })), (item) => item.id, build);
    empty.hidden = queue.length > 0;
    held.hidden = !(app.runs.held && queue.length > 0);
  };
  app.whenRuns(node, draw);
  draw();
  return node;
}
