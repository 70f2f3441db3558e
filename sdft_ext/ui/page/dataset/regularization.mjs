// Regularization pictures, drawn by the loaded model: what is asked for, how far it is, and what has come of it.

import { part } from "../shared/api.mjs";
import { button, debounced, el, fill, freshId, keyed } from "../shared/dom.mjs";
import { chooseFolder } from "../shared/folders.mjs";
import { count, duration } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { badge, progressBar } from "../shared/run_widgets.mjs";

/** The guide: so many for each instance picture. */
const TIMES = [20, 100];
/** Jobs whose folder becomes the concept's when they end: name → the concept's path. Kept, so that a reload loses none. */
const KEPT = "sdft.regularization.1";
const GOING = new Set(["waiting", "drawing", "paused"]);

/** A section of the Dataset panel: for the concept that is chosen there. */
export function regularizationSection(app, panel) {
  const drawing = regularization(app, () => panel.concept, () => panel.tell("pictures"));
  panel.listen("concept", drawing.follow);
  const remedy = {
    label: "Draw them with the model",
    when: (told) => told.kind === "no_regularization" || told.facts.regularization < told.facts.low,
    act(told) {
      panel.choose(told.concept ?? 0);
      drawing.open();
      return false; // the report is right until they are drawn
    },
  };
  for (const kind of ["no_regularization", "regularization_ratio"]) panel.offer(kind, remedy);
  const node = el("section.card", { "aria-label": "Regularization pictures", data: { section: "regularization" } }, el("h2.title", {}, "Regularization pictures"), drawing.node);
  return { node, name: "regularization", shown: drawing.shown, open: drawing.open };
}

/**
 * The fold below a regularization folder. `concept()` is the number of the concept that it belongs to; `came()` is called
 * when its pictures are there.
 */
export function regularization(app, concept = () => 0, came = () => {}) {
  const { draft } = app;
  const at = (name) => `dataset.concepts.${concept()}.${name}`;
  const typed = new Set();
  const fields = {
    prompts: el("textarea.input", { rows: 2, spellcheck: "false", placeholder: "a dog" }),
    count: number(1, 100_000, 1),
    folder: el("input.input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: "A new folder among the runs" }),
    sampler: el("select.input"),
    steps: number(1, 150, 1),
    guidance: number(1, 30, 0.5),
    width: number(64, 2048, 8),
    height: number(64, 2048, 8),
    seed: number(0, 4_000_000_000, 1),
    negative: el("input.input", { type: "text", spellcheck: "false" }),
    at_once: number(1, 16, 1),
    drop_duplicates: el("input", { type: "checkbox", checked: true }),
  };
  for (const [name, field] of Object.entries(fields)) {
    field.dataset.regularization = name;
    field.addEventListener("input", () => typed.add(name));
  }
  const browse = button("Browse…", async () => {
    const chosen = await chooseFolder(app, fields.folder.value, "Folder for regularization pictures");
    if (chosen === null) return;
    typed.add("folder");
    fields.folder.value = chosen;
  }, { "aria-label": "Browse for a folder for regularization pictures" });
  const advice = el("p.help", { data: { role: "ratio" } });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const draw = button("Draw the pictures", start, { kind: "primary", data: { action: "regularize" } });
  const list = el("div.stack.tight", { "aria-live": "polite" });
  const node = el(
    "details.section.regularization",
    { data: { role: "regularization" } },
    el("summary", {}, el("span.section-name", {}, "Have the model draw them"), el("span.quiet", {}, "What it makes of the class before it learns the concept.")),
    el(
      "div.stack",
      {},
      field("Class prompts", fields.prompts, "One a line; the pictures take them in turn. They become the captions."),
      el("div.fields.narrow", {}, field("Pictures", fields.count), field("Sampler", fields.sampler), field("Steps", fields.steps), field("Guidance", fields.guidance), field("Width", fields.width), field("Height", fields.height), field("First seed", fields.seed), field("At once", fields.at_once, "More are faster, and take more memory.")),
      advice,
      field("Negative prompt", fields.negative),
      field("Folder", el("div.row.together", {}, fields.folder, browse), "Pictures that are there stay. Those of the same settings aren't drawn again."),
      el("label.check", {}, fields.drop_duplicates, el("span", {}, "Drop near-duplicates, and draw others for them")),
      problem,
      el("div.row.wrap", {}, draw, el("span.help", {}, "Between your own pictures and runs, one at a time.")),
      list,
    ),
  );

  let asked = "";
  /** The counts that the guide's advice is about. */
  async function look() {
    const folders = ["instance", "regularization"].map((name) => String(draft.get(at(name)) ?? "").trim());
    if (folders.join("\n") === asked) return;
    asked = folders.join("\n");
    const [mine, others] = await Promise.all(folders.map(counted));
    if (asked !== folders.join("\n")) return;
    if (!mine) {
      advice.textContent = `The guide: ${TIMES.join("–")} for each picture of the concept.`;
      return;
    }
    const [least, most] = TIMES.map((times) => times * mine);
    advice.textContent = `The guide: ${TIMES.join("–")} for each of your ${count(mine, "picture", "pictures")}, that is ${least.toLocaleString("en")}–${most.toLocaleString("en")}. ${others ? `${others.toLocaleString("en")} are there.` : "None are there yet."}`;
    if (!typed.has("count")) fields.count.value = String(Math.max(1, least - others));
  }

  async function counted(folder) {
    if (!folder) return 0;
    try {
      return (await app.api.get("datasets", { folder, count: 0 })).pictures;
    } catch {
      return 0; // the folder's own control says what is wrong with it
    }
  }

  /** What the user hasn't typed follows the recipe. */
  function follow() {
    const put = (name, value) => {
      if (!typed.has(name) && document.activeElement !== fields[name]) fields[name].value = String(value);
    };
    const thing = String(draft.get(at("class_word")) ?? "").trim();
    put("prompts", thing && draft.get(at("kind")) !== "style" ? `${/^[aeiou]/i.test(thing) ? "an" : "a"} ${thing}` : thing);
    put("folder", draft.get(at("regularization")) ?? "");
    put("steps", draft.get("watch.sampler_steps"));
    put("guidance", draft.get("watch.guidance"));
    const side = Math.max(64, Math.floor(Number(draft.get("dataset.resolution")) / 8) * 8);
    put("width", side);
    put("height", side);
    put("seed", 1);
    put("at_once", 1);
    put("negative", draft.get("watch.negative") ?? "");
    if (!typed.has("count") && !fields.count.value) fields.count.value = "200";
    later();
  }
  const later = debounced(() => node.open && look(), 400);

  function settings() {
    const found = { prompts: fields.prompts.value.split("\n").map((line) => line.trim()).filter(Boolean) };
    for (const name of ["count", "steps", "guidance", "width", "height", "seed", "at_once"]) {
      const input = fields[name];
      const value = Number(input.value);
      if (input.value.trim() === "" || !input.validity.valid || !Number.isFinite(value)) {
        throw new Error(`${input.getAttribute("aria-label")}: write a number from ${Number(input.min).toLocaleString("en")} to ${Number(input.max).toLocaleString("en")}${input.step === "8" ? " that 8 divides" : ""}.`);
      }
      found[name] = value;
    }
    found.folder = fields.folder.value.trim();
    if (found.folder && found.folder === String(draft.get(at("instance")) ?? "").trim()) throw new Error("This is the folder of the concept's own pictures: choose another one.");
    return { ...found, sampler: fields.sampler.value, negative: fields.negative.value.trim(), clip_skip: draft.get("model.clip_skip"), drop_duplicates: fields.drop_duplicates.checked };
  }

  async function start() {
    problem.hidden = true;
    draw.disabled = true;
    try {
      const { name } = await app.api.post("regularization", settings());
      remember(name, at("regularization"));
      poll.now();
      await app.refresh();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      draw.disabled = false;
    }
  }

  /** Asks how far the jobs are, and gives the folder of one that has ended to its concept. */
  async function refresh() {
    const { samplers, jobs } = await app.api.get("regularization");
    if (fields.sampler.options.length !== samplers.length) {
      const before = fields.sampler.value;
      fill(fields.sampler, samplers.map((name) => el("option", { value: name }, name)));
      if (samplers.includes(before)) fields.sampler.value = before;
    }
    const going = jobs.filter((job) => GOING.has(job.state));
    poll.every = going.length ? 1000 : 5000;
    for (const job of jobs) if (job.state === "finished" && job.done > 0 && take(app, job)) came();
    const ended = jobs.find((job) => !GOING.has(job.state));
    keyed(list, [...going, ...(ended ? [ended] : [])], (job) => job.name, (job) => jobNode(app, job, () => at("regularization"), poll));
    if (going.length === 0 && asked) {
      const known = jobs.map((job) => job.done).join();
      if (known !== refresh.known) asked = "";
      refresh.known = known;
      later();
    }
  }

  const poll = new Poll({
    ask: refresh,
    every: 5000,
    visible: () => app.visible && node.open && node.offsetParent !== null,
    over: () => app.over,
  });
  node.addEventListener("toggle", () => {
    if (!node.open) return;
    follow();
    poll.now();
  });
  app.whenDraft(node, follow);
  follow();
  poll.start();
  // A job that was begun on an earlier page, or behind another tab, ends here too.
  if (Object.keys(kept()).length) node.open = true;
  return {
    node,
    follow,
    shown: () => node.open && poll.now(),
    open() {
      node.open = true;
      app.point(node, fields.prompts);
    },
  };
}

/** One job: its prompts, its progress, its newest pictures, and what can be done with it. */
function jobNode(app, job, path, poll) {
  const bar = progressBar();
  bar.set(job.done, job.total, job.state);
  const tell = (action) => app.attempt(async () => {
    await app.api.post(`regularization/${part(job.name)}/${action}`);
    poll.now();
    await app.refresh();
  });
  const act = (label, action, kind = "small") => button(label, () => tell(action), { kind, data: { action: `regularize-${action}` } });
  const going = GOING.has(job.state);
  const facts = [`${job.done.toLocaleString("en")} of ${job.total.toLocaleString("en")} pictures`, job.seconds_left ? `${duration(job.seconds_left)} left` : ""].filter(Boolean).join(" · ");
  return el(
    "article.regularization-job",
    { data: { job: job.name, state: job.state } },
    el("div.row.wrap", {}, badge(job.state), el("span.prompt", {}, job.wanted.prompts.join(" / ")), el("span.spring"),
      job.state === "drawing" && act("Pause", "pause"),
      (job.state === "paused" || job.state === "stopped" || job.state === "failed") && act("Resume", "resume"),
      going && act(job.state === "waiting" ? "Take out" : "Stop", "stop"),
      !going && job.done > 0 && String(app.draft.get(path())) !== job.folder && button("Use this folder", () => app.draft.set(path(), job.folder), { kind: "small", data: { action: "regularize-use" } })),
    bar.node,
    el("p.progress-facts", {}, facts),
    job.message && el("p", { class: job.state === "failed" ? "sdft-problem" : "sdft-help" }, job.message),
    job.newest.length > 0 && el("div.thumbnails", {}, job.newest.map(({ name, picture }) => el("figure.thumbnail", { title: name }, el("img", { src: app.api.url(picture, { side: 192 }), alt: name, loading: "lazy", width: 72, height: 72, class: Math.max(job.wanted.sampling.width, job.wanted.sampling.height) <= 128 ? "sdft-pixels" : "" })))),
    el("p.help", {}, job.folder),
  );
}

/** The concept gets the folder that was drawn for it, once; whether it did. */
function take(app, job) {
  const waiting = kept();
  const path = waiting[job.name];
  if (!path) return false;
  delete waiting[job.name];
  keep(waiting);
  if (!app.draft.field(path)) return false;
  if (app.draft.get(path) === job.folder) app.root.dispatchEvent(new CustomEvent("sdft-pictures", { detail: { folder: job.folder } }));
  else app.draft.set(path, job.folder);
  app.say(`${job.message} They are the concept's regularization pictures now.`);
  return true;
}

function remember(name, path) {
  keep({ ...kept(), [name]: path });
}

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    return found && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}

function keep(waiting) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(waiting));
  } catch {
    // A browser that keeps nothing: "Use this folder" does the same.
  }
}

function number(low, high, step) {
  return el("input.input.number", { type: "number", inputmode: "decimal", min: low, max: high, step });
}

/** A control with its label and a word of help. */
function field(label, input, help = "") {
  const control = input.matches("input, select, textarea") ? input : input.querySelector("input");
  control.id = freshId("sdft-regularization");
  control.setAttribute("aria-label", label);
  return el("div.field", {}, el("div.field-head", {}, el("label.label", { htmlFor: control.id }, label)), input, help && el("p.help", {}, help));
}
