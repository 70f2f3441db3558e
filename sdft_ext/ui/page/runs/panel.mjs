// The Runs panel: every run there is, and what can be done with it.

import { part } from "../shared/api.mjs";
import { shown } from "../shared/setting_text.mjs";
import { button, el, fill, keyed } from "../shared/dom.mjs";
import { confirm, dialog } from "../shared/dialog.mjs";
import { count, when } from "../shared/numbers.mjs";
import { active, badge, progressBar, resumable } from "../shared/run_widgets.mjs";

export function runsPanel(app) {
  const list = el("div.runs", { role: "list" });
  const none = el("p.quiet", {}, "No run yet.");
  const compare = button("Compare two runs", () => compareTwo(app, [...chosen]), { data: { action: "compare" } });
  const search = el("input.input.search", { type: "search", placeholder: "Search the runs", "aria-label": "Search the runs" });
  const node = el("section.card", { "aria-label": "Runs" }, el("div.row.wrap", {}, el("h2.title", {}, "Runs"), el("span.spring"), search, compare), none, list);
  const chosen = new Set();

  const select = (id, on) => {
    if (on) chosen.add(id);
    else chosen.delete(id);
    // Two are compared: the third choice takes the place of the first.
    while (chosen.size > 2) chosen.delete(chosen.values().next().value);
    for (const box of list.querySelectorAll("input[data-compare]")) box.checked = chosen.has(box.dataset.compare);
    compare.disabled = chosen.size !== 2;
    compare.title = chosen.size === 2 ? "" : "Mark two runs first.";
  };

  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = app.runs.runs.filter((run) => words.every((word) => `${run.name} ${run.id} ${run.state}`.toLowerCase().includes(word)));
    none.hidden = found.length > 0;
    none.textContent = app.runs.runs.length ? "No run has these words." : "No run yet.";
    keyed(list, found, (run) => run.id, (run) => runNode(app, run, chosen, select));
    for (const id of [...chosen]) if (!app.runs.runs.some((run) => run.id === id)) chosen.delete(id);
    select();
  };
  search.addEventListener("input", draw);
  app.whenRuns(node, draw);
  draw();
  return { node, shown: draw };
}

function runNode(app, run, chosen, select) {
  const ask = (path, done) => app.attempt(async () => {
    await app.api.post(`runs/${part(run.id)}/${path}`);
    if (done) app.say(done);
    await app.refresh();
  });
  const bar = progressBar();
  bar.set(run.step, run.total, run.state);
  const busy = active(run) || run.state === "waiting";
  const box = el("input", {
    type: "checkbox",
    checked: chosen.has(run.id),
    data: { compare: run.id, action: `compare-${run.id}` },
    "aria-label": `Mark ${run.name} to compare`,
    onchange: (event) => select(run.id, event.target.checked),
  });
  return el(
    "article.run",
    { role: "listitem", data: { run: run.id } },
    el("label.run-mark", { title: "Mark to compare" }, box),
    el("div.run-picture", {}, run.picture && el("img.pixels", { src: app.api.url(run.picture), alt: "", loading: "lazy" })),
    el(
      "div.run-about",
      {},
      el("div.row.wrap", {}, el("span.run-name", { title: run.id }, run.name), badge(run.state)),
      busy && bar.node,
      el("p.help", {}, [run.total ? `Step ${run.step} of ${run.total}` : "", count(run.saves, "save", "saves"), when(run.started)].filter(Boolean).join(" · ")),
      run.message && el("p", { class: run.state === "failed" ? "sdft-problem" : "sdft-help" }, run.message),
    ),
    el(
      "div.row.wrap.run-actions",
      {},
      button("Open", () => app.showRun(run.id), { kind: "small", data: { action: `open-${run.id}` } }),
      run.saves > 0 && button("Evaluate", () => app.evaluate(run.id), { kind: "small", data: { action: `evaluate-${run.id}` } }),
      button("Load its recipe", () => loadRecipe(app, run), { kind: "small", data: { action: `recipe-${run.id}` } }),
      resumable(run) && button("Resume", () => ask("resume", "The run is waiting for its turn."), { kind: "small", data: { action: `resume-${run.id}` } }),
      !busy && button("Trash", () => trash(app, run), { kind: "small", data: { action: `trash-${run.id}` } }),
    ),
  );
}

const loadRecipe = (app, run) =>
  app.attempt(async () => {
    const { recipe } = await app.api.get(`runs/${part(run.id)}`);
    app.draft.load(recipe);
    app.show("train");
    app.say(`The recipe of ${run.name} is loaded.`);
  });

async function trash(app, run) {
  const saves = el("input", { type: "checkbox", data: { action: "trash-saves" } });
  const sure = await confirm(app, "Move to the trash", `${run.name} goes to the trash, with its log and its control pictures.`, "Move to the trash", {
    extra: run.saves > 0 && app.can("cards") && el("label.check", {}, saves, el("span", {}, "Its saves among the WebUI's models too")),
  });
  if (!sure) return;
  await app.attempt(async () => {
    await app.api.post(`runs/${part(run.id)}/trash`, { saves: saves.checked });
    await app.refresh();
    app.say(`${run.name} is in the trash.`);
  });
}

const compareTwo = (app, [a, b]) =>
  app.attempt(async () => {
    const { differences } = await app.api.get("compare", { a, b });
    const name = (id) => app.runs.runs.find((run) => run.id === id)?.name ?? id;
    await dialog(
      app,
      "What differs",
      () => {
        if (!differences.length) return el("p.quiet", {}, "The two recipes are the same.");
        const body = el("tbody");
        fill(body, differences.map(({ path, label, a: mine, b: theirs }) => el("tr", { data: { setting: path } }, el("th", { scope: "row", title: path }, label), el("td", {}, shown(mine)), el("td", {}, shown(theirs)))));
        return el("div.table-box", {}, el("table.table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Setting"), el("th", { scope: "col" }, name(a)), el("th", { scope: "col" }, name(b)))), body));
      },
      { wide: true },
    );
  });
