// The Tools panel: finished files merged, extracted, resized, converted, and looked into.

import { button, el, fill, freshId } from "../shared/dom.mjs";
import { fieldControl, stem } from "./fields.mjs";
import { jobCard } from "./job.mjs";
import { looked } from "./inspection.mjs";

export function toolsPanel(app) {
  const cards = el("div.choices", { role: "radiogroup", "aria-label": "Tool" });
  const form = el("div.stack");
  const result = el("div.stack", { "aria-live": "polite" });
  const job = jobCard(app, { ended: came, open: (path) => lookInto(path) });
  const node = el(
    "div.stack.tools",
    {},
    el("section.card", { "aria-label": "Tools" }, el("h2.title", {}, "Tools"), el("p.help", {}, "For finished files. The loaded model isn't needed, and what trains goes on."), cards),
    el("section.card", { "aria-label": "What it is given" }, form),
    job.node,
    result,
  );
  /** What the server told: tools, files and places. */
  let known = null;
  let chosen = null;
  const forms = new Map();
  const radios = new Map();

  async function load() {
    known = await app.api.get("tools");
    if (!radios.size) drawCards();
    for (const one of forms.values()) one.follow();
  }

  function drawCards() {
    const group = freshId("sdft-tool");
    fill(
      cards,
      known.tools.map((tool) => {
        const radio = el("input", { type: "radio", name: group, value: tool.name, onchange: () => show(tool.name) });
        radios.set(tool.name, radio);
        return el("label.choice", { data: { tool: tool.name } }, radio, el("span.choice-label", {}, tool.label), el("span.choice-help", {}, tool.help));
      }),
    );
  }

  function show(name) {
    if (chosen !== name) fill(result);
    chosen = name;
    radios.get(name).checked = true;
    if (!forms.has(name)) forms.set(name, toolForm(known.tools.find((tool) => tool.name === name)));
    fill(form, forms.get(name).node);
  }

  /** The name, or name-2 … where a file in `place` or below it has that name, or is a save of it. */
  function free(name, place) {
    const names = known.files.filter(({ path }) => path.startsWith(place)).map(({ path }) => stem(path).toLowerCase());
    const taken = new Set(names.flatMap((one) => [one, one.replace(/-\d{6}$/, "")]));
    for (let number = 1; ; number += 1) {
      const found = number === 1 ? name : `${name}-${number}`;
      if (!taken.has(found.toLowerCase())) return found;
    }
  }

  /** One tool's controls; they keep what was chosen while another tool is looked at. */
  function toolForm(tool) {
    const controls = tool.fields.map((field) => fieldControl(field, () => known.files, follow, app.session.host.model?.path));
    const name = el("input.input", { type: "text", spellcheck: "false", autocomplete: "off", data: { tool: "name" }, oninput: () => (typed = true) });
    const place = el("p.help", { data: { role: "tool-place" } });
    const problem = el("p.problem", { role: "alert", hidden: true });
    const run = button(tool.makes ? "Run" : "Look", () => start(), { kind: "primary", data: { action: "tool-run" } });
    name.id = freshId("sdft-tool-name");
    let typed = false;

    const settings = () => Object.fromEntries(controls.filter(({ field }) => wanted(field)).map((one) => [one.field.name, one.value()]));
    const wanted = ({ when }) => !when || controls.find(({ field }) => field.name === when[0]).value() === when[1];

    function follow() {
      for (const one of controls) one.node.hidden = !wanted(one.field);
      if (!tool.makes) return;
      const makes = controls.some(({ field }) => field.name === "form" && field.kind === "choice") ? settings().form : tool.makes;
      place.textContent = `Written into ${known.places[makes]}. Nothing is written over.`;
      if (typed && name.value.trim()) return;
      typed = false;
      const first = controls.map((one) => one.stem?.() ?? "").find(Boolean);
      name.value = first ? free(`${first}-${tool.ending}`, known.places[makes]) : "";
    }

    async function start() {
      problem.hidden = true;
      run.disabled = true;
      try {
        if (tool.makes) {
          await app.api.post("tools", { tool: tool.name, name: name.value, settings: settings() });
          fill(result);
          await job.now();
        } else {
          const found = await app.api.post("tools/look", { tool: tool.name, settings: settings() });
          if (chosen === tool.name) fill(result, looked(tool.name, found));
        }
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
        if (!tool.makes) fill(result);
      } finally {
        run.disabled = false;
      }
    }

    const node = el(
      "div.stack",
      {},
      el("h2.title", {}, tool.label),
      el("div.fields", {}, controls.map((one) => one.node)),
      tool.makes && el("div.field", {}, el("label.label", { htmlFor: name.id }, "Name of the result"), name, place),
      problem,
      el("div.row", {}, run),
    );
    const one = {
      node,
      start,
      put: (file) => controls[0].put(file),
      follow() {
        for (const control of controls) control.follow();
        follow();
      },
    };
    one.follow();
    return one;
  }

  /** A tool has ended: what it made can be chosen. */
  async function came(told) {
    await load();
    if (told.state === "finished") app.say(told.message);
  }

  function lookInto(path) {
    show("metadata");
    forms.get("metadata").put(path);
    forms.get("metadata").start();
  }

  return {
    node,
    shown: () =>
      app.attempt(async () => {
        await load();
        const told = await job.now();
        if (!chosen) show(told.tool || known.tools[0].name);
      }),
  };
}
