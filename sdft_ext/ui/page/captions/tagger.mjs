// Automatic captions: a tagger looks at pictures, what the captions would become is shown, and put in as one edit.

import { part } from "../shared/api.mjs";
import { changeNode } from "./tags.mjs";
import { button, debounced, el, fill, freshId } from "../shared/dom.mjs";
import { count, duration } from "../shared/numbers.mjs";
import { Poll } from "../shared/poll.mjs";
import { progressBar } from "../shared/run_widgets.mjs";

const SHOWN = 20;
const HOW = [
  ["append", "Add what is missing at the end"],
  ["front", "Put in front"],
  ["replace", "Replace"],
  ["empty", "Only where there is no caption"],
];
const NOTHING = { done: 0, total: 0, state: "" };

export function taggerSide(app, book, say) {
  const targets = [["one", "This one"], ["selected", "Selected"], ["shown", "Shown"]].map(([name, label]) => {
    const one = el("button", { type: "button", onclick: () => aim(name), data: { target: name } }, label);
    return { name, label, one };
  });
  const tagger = el("select.input", { "aria-label": "Tagger", data: { action: "tagger" } });
  const why = el("p.advice", { hidden: true, data: { role: "tagger-why" } });
  const look = button("Look at the pictures", () => begin(), { data: { action: "tagger-look" } });
  const stop = button("Stop", () => post("stop"), { kind: "small", hidden: true, data: { action: "tagger-stop" } });
  const bar = progressBar();
  const facts = el("p.help", { role: "status", data: { role: "tagger-facts" } });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const fields = {
    how: el("select.input", {}, HOW.map(([value, label]) => el("option", { value }, label))),
    prefix: text(),
    threshold: share(0.35),
    character_threshold: share(0.85),
    blacklist: text(),
    spaces: box(true),
    escape: box(false),
    rating: box(false),
  };
  for (const [name, field] of Object.entries(fields)) {
    field.dataset.tagger = name;
    field.addEventListener("input", () => soon());
  }
  const onlyTags = el(
    "div.stack.tight",
    {},
    el("div.row", {}, labelled("Least score", fields.threshold), labelled("Of characters", fields.character_threshold)),
    labelled("Never these tags, with commas", fields.blacklist),
    checked("Underscores to spaces", fields.spaces),
    checked("Escape brackets", fields.escape),
    checked("The rating too", fields.rating),
  );
  const told = el("p.help", { role: "status", data: { role: "tagger-preview" } });
  const notes = el("div.stack.tight");
  const changes = el("div.cap-changes", { tabIndex: 0, role: "region", "aria-label": "What would change" });
  const apply = button("Apply", () => put(), { kind: "primary", disabled: true, data: { action: "tagger-apply" } });
  const words = el("div.stack.tight", { hidden: true }, labelled("What becomes of the captions", fields.how), labelled("First these words", fields.prefix), onlyTags, el("div.row.wrap", {}, told, el("span.spring"), apply), notes, changes);
  const node = el(
    "div.cap-body",
    {},
    el("div.segments", { role: "group", "aria-label": "Whom it looks at" }, targets.map(({ one }) => one)),
    tagger,
    why,
    el("div.row.wrap", {}, look, stop),
    bar.node,
    facts,
    problem,
    words,
  );
  let known = [];
  let help = "";
  let who = null;
  let id = null;
  let status = NOTHING;
  let asked = null;
  let ready = null;

  const aim = (name) => {
    who = name;
    follow();
  };
  const target = () => (who === "selected" && !book.selected.size ? null : who) ?? (book.selected.size ? "selected" : "shown");
  const chosen = () => known.find((one) => one.id === tagger.value);

  function follow() {
    const now = target();
    for (const { name, label, one } of targets) {
      const number = name === "one" ? null : name === "selected" ? book.selected.size : book.shown.length;
      one.textContent = number === null ? label : `${label} ${number.toLocaleString("en")}`;
      one.setAttribute("aria-pressed", String(name === now));
      one.disabled = name === "selected" && !number;
    }
    const one = chosen();
    why.textContent = one ? one.why : help && `No tagger is there. ${help}`;
    why.hidden = !why.textContent;
    look.disabled = !one || Boolean(one.why) || book.opened === null || status.state === "looking" || book.ids(now).length === 0;
    onlyTags.hidden = Boolean(one?.sentences);
  }

  /** Which taggers there are; files may have been put into the folder meanwhile. */
  async function list() {
    try {
      const found = await app.api.get("taggers");
      known = found.taggers;
      help = found.help;
      const before = tagger.value;
      fill(tagger, known.map((one) => el("option", { value: one.id }, one.why ? `${one.label} – something is missing` : one.label)));
      tagger.value = known.some((one) => one.id === before) ? before : (known.find((one) => !one.why) ?? known[0])?.id ?? "";
      tagger.hidden = known.length === 0;
      wrong("");
    } catch (error) {
      wrong(error.message);
    }
    follow();
  }

  function wrong(sentence) {
    problem.textContent = sentence;
    problem.hidden = !sentence;
  }

  async function begin() {
    wrong("");
    words.hidden = true;
    try {
      ({ id } = await app.api.post("taggers", { tagger: tagger.value, folder: book.folder, opened: book.opened, ids: book.ids(target()) }));
      status = { ...NOTHING, state: "looking" };
      poll.now();
    } catch (error) {
      wrong(error.message);
    }
    follow();
  }

  async function post(action) {
    try {
      await app.api.post(`taggers/${part(id)}/${action}`);
      poll.now();
    } catch (error) {
      wrong(error.message);
    }
  }

  async function ask() {
    if (status.state !== "looking") return;
    try {
      status = await app.api.get(`taggers/${part(id)}`);
    } catch (error) {
      if (error.status !== 404) throw error;
      status = NOTHING; // the server was started anew
      wrong(error.message);
    }
    bar.set(status.done, status.total, "");
    const left = status.seconds_left ? ` · ${duration(status.seconds_left)} left` : "";
    facts.textContent = status.total ? `${status.done.toLocaleString("en")} of ${count(status.total, "picture", "pictures")}${left}` : "";
    if (status.state === "failed") wrong(status.message);
    else if (status.unreadable?.length) wrong(status.unreadable.slice(0, 3).join(" "));
    stop.hidden = status.state !== "looking";
    bar.node.hidden = status.state !== "looking";
    if (status.state !== "looking" && status.done > 0) {
      words.hidden = false;
      preview();
    }
    follow();
  }

  const choice = () => ({
    how: fields.how.value,
    prefix: fields.prefix.value,
    threshold: Number(fields.threshold.value),
    character_threshold: Number(fields.character_threshold.value),
    blacklist: fields.blacklist.value,
    spaces: fields.spaces.checked,
    escape: fields.escape.checked,
    rating: fields.rating.checked,
  });

  /** Nothing can be applied that the user hasn't been shown. */
  const soon = () => {
    asked?.abort();
    ready = null;
    apply.disabled = true;
    if (!words.hidden) later();
  };

  async function preview() {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    const now = choice();
    try {
      const found = await app.api.post(`taggers/${part(id)}/preview`, { ...now, most: SHOWN }, signal);
      if (signal.aborted) return;
      ready = { ...now, preview: found.preview };
      told.textContent = `${found.count.toLocaleString("en")} of ${count(found.of, "caption changes", "captions change")}.`;
      fill(notes, found.notes.map((sentence) => el("p.advice", {}, sentence)));
      const left = found.count - found.shown.length;
      fill(changes, found.shown.map((one) => el("div.cap-change", {}, el("span.quiet", {}, book.entry(one.id)?.name ?? ""), changeNode(one.before, one.after))), left > 0 && el("p.help", {}, `and ${left.toLocaleString("en")} more`));
      apply.disabled = found.count === 0;
      apply.textContent = found.count ? `Change ${count(found.count, "caption", "captions")}` : "Nothing changes";
    } catch (error) {
      if (error.name === "AbortError") return;
      told.textContent = "";
      fill(changes);
      wrong(error.message);
    }
  }
  const later = debounced(preview, 250);

  async function put() {
    if (!ready) return;
    apply.disabled = true;
    try {
      const found = await app.api.post(`taggers/${part(id)}/apply`, ready);
      say([`${count(found.count, "caption is", "captions are")} changed.`, ...(found.notes ?? [])].join(" "));
      await book.look();
    } catch (error) {
      say(error.message, "bad");
    }
    preview();
  }

  const poll = new Poll({ ask, every: 1000, visible: () => app.visible && node.offsetParent !== null, trouble: (error) => error && wrong(error.message), over: () => app.over }).start();
  tagger.addEventListener("change", follow);
  bar.node.hidden = true;
  follow();
  return {
    node,
    follow,
    shown: list,
    /** Another folder is open: what was seen was of the former one. */
    begin() {
      id = null;
      status = NOTHING;
      words.hidden = true;
      facts.textContent = "";
      bar.node.hidden = stop.hidden = true;
      wrong("");
      follow();
    },
  };
}

function text() {
  return el("input.input", { type: "text", spellcheck: "false", autocomplete: "off" });
}

function share(value) {
  return el("input.input.number", { type: "number", min: 0, max: 1, step: 0.05, value: String(value) });
}

function box(checked_) {
  return el("input", { type: "checkbox", checked: checked_ });
}

function labelled(label, input) {
  input.id = freshId("sdft-tagger");
  return el("div.field", {}, el("label.label", { htmlFor: input.id }, label), input);
}

function checked(label, input) {
  return el("label.check", {}, input, el("span", {}, label));
}
