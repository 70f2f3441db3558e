// Prompts × saves, drawn by the server: for the page that runs without a WebUI.

import { part } from "../shared/api.mjs";
import { button, el, fill } from "../shared/dom.mjs";

export function tryout(app, selection) {
  const { detail } = selection();
  const recipe = detail.recipe ?? {};
  const field = (label, name, value, type = "text") => {
    const input = el("input.input", { type: "text", inputmode: type === "text" ? "text" : "decimal", value: String(value ?? ""), data: { field: name } });
    return { input, node: el("label.field.stretch", {}, el("span.label", {}, label), input) };
  };
  const prompts = el("textarea.input", { rows: 4, data: { field: "prompts" } });
  prompts.value = (detail.controls?.prompts ?? []).filter((entry) => entry.prompt).map((entry) => entry.prompt).join("\n");
  const watch = recipe.watch ?? {};
  const fields = {
    negative: field("Negative prompt", "negative", watch.negative ?? ""),
    weight: field("Weight", "weight", 1, "number"),
    seed: field("Seed", "seed", watch.seed ?? 1000, "number"),
    steps: field("Sampler steps", "steps", watch.sampler_steps ?? 20, "number"),
    guidance: field("Guidance", "guidance", watch.guidance ?? 7, "number"),
    size: field("Size in pixels", "size", watch.size || recipe.dataset?.resolution || 512, "number"),
  };
  const result = el("div.tryout", { "aria-live": "polite" });
  let turn = 0;

  async function draw(one) {
    const mine = ++turn;
    await app.attempt(async () => {
      const { run, base, saves } = selection();
      const lines = prompts.value.split("\n");
      while (lines.length > 1 && !lines.at(-1).trim()) lines.pop();
      const columns = [...(base ? [{ label: "None", step: null }] : []), ...saves.map((save) => ({ label: `Step ${save.step}`, step: save.step }))];
      if (!columns.length) throw new Error("Mark at least one save, or None.");
      const settings = { negative: fields.negative.input.value };
      for (const name of ["weight", "seed", "steps", "guidance", "size"]) {
        const value = Number(fields[name].input.value.replace(",", "."));
        if (!Number.isFinite(value)) throw new Error(`${fields[name].node.textContent} must be a number.`);
        settings[name] = value;
      }
      const cells = lines.map(() => columns.map(() => el("td", {}, el("div.placeholder"))));
      fill(
        result,
        el(
          "div.table-box",
          {},
          el(
            "table.table.pictures",
            {},
            el("thead", {}, el("tr", {}, el("td"), columns.map((column) => el("th", { scope: "col" }, column.label)))),
            el("tbody", {}, lines.map((line, row) => el("tr", {}, el("th.prompt", { scope: "row" }, line || "(empty prompt)"), cells[row]))),
          ),
        ),
      );
      for (const [at, column] of columns.entries()) {
        for (const [row, prompt] of lines.entries()) {
          if (mine !== turn) return;
          const { picture } = await app.api.post(`runs/${part(run)}/tryout`, { prompt, save: column.step, ...settings });
          if (!String(picture).startsWith("data:image/")) throw new Error("The server sent no picture.");
          const image = el("img.control", { src: picture, alt: `${prompt || "(empty prompt)"}, ${column.label}` });
          image.addEventListener("load", () => image.classList.toggle("sdft-pixels", image.naturalWidth <= 128));
          fill(cells[row][at], image);
        }
      }
    }, one);
  }

  const start = button("Draw", () => draw(start), { kind: "primary", data: { action: "tryout" } });
  return el(
    "section.card",
    { "aria-label": "Try out" },
    el("h2.title", {}, "Try out"),
    el("p.help", {}, "The marked saves, each with every prompt, all with the same seed."),
    el("label.field", {}, el("span.label", {}, "Prompts, one a line"), prompts),
    el("div.fields.narrow", {}, Object.values(fields).map((one) => one.node)),
    el("div.row", {}, start),
    result,
  );
}
