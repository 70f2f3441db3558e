// Edits of many captions at once: what would change is shown before it does.

import { changeNode } from "./tags.mjs";
import { button, debounced, el, fill, freshId } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

const PAUSE = 250;
const SHOWN = 20;
const FIRST = "dataset.concepts.0.";

const list = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);

/** The edits: name → label, its fields, and the edit as the server reads it; null where something is missing. */
const EDITS = [
  {
    name: "add",
    label: "Add tags",
    fields: [["tags", "text", "Tags, with commas"], ["where", "choice", "Where", [["front", "In front"], ["back", "At the end"], ["place", "At a place"]]], ["place", "int", "Place", null, (now) => now.where === "place"]],
    edit: ({ tags, where, place }) => {
      if (!list(tags).length) return null;
      if (where !== "place") return { do: "add", tags: list(tags), where };
      // People count from 1; the server counts from 0, and from the end below that.
      return /^-?\d+$/.test(place) && Number(place) !== 0 ? { do: "add", tags: list(tags), where: Number(place) > 0 ? Number(place) - 1 : Number(place) } : null;
    },
  },
  { name: "remove", label: "Remove tags", fields: [["tags", "text", "Tags, with commas"]], edit: ({ tags }) => (list(tags).length ? { do: "remove", tags: list(tags) } : null) },
  { name: "rename", label: "Rename a tag", fields: [["tag", "text", "Tag"], ["to", "text", "New name; empty removes it"]], edit: ({ tag, to }) => (tag.trim() ? { do: "rename", tag: tag.trim(), to: to.trim() } : null) },
  { name: "replace", label: "Replace words", fields: [["find", "text", "Find"], ["with", "text", "Put in its place"], ["words", "bool", "Whole words only"], ["case", "bool", "Mind capitals"]], edit: ({ find, words, case: capitals, ...rest }) => (find ? { do: "replace", find, with: rest.with, words, case: capitals } : null) },
  { name: "regex", label: "Replace by a regular expression", fields: [["find", "text", "Pattern, such as (\\w+) cat"], ["with", "text", "Put in its place; \\1 is the first group"], ["case", "bool", "Mind capitals"]], edit: ({ find, case: capitals, ...rest }) => (find ? { do: "regex", find, with: rest.with, case: capitals } : null) },
  { name: "trigger_first", label: "Put the trigger first", fields: [["trigger", "text", "Trigger"], ["add", "bool", "Add it where it is missing"]], edit: ({ trigger, add }) => (trigger.trim() ? { do: "trigger_first", trigger: trigger.trim(), add } : null) },
  { name: "sort", label: "Sort tags by the alphabet", fields: [["keep", "int", "Tags that stay in front"]], edit: ({ keep }) => (/^\d*$/.test(keep) ? { do: "sort", keep: Number(keep) } : null) },
  { name: "unique", label: "Remove doubled tags", fields: [], edit: () => ({ do: "unique" }) },
  { name: "spaces", label: "Underscores to spaces", fields: [], edit: () => ({ do: "spaces" }) },
  { name: "escape", label: "Escape brackets", help: "A bracket in a prompt means emphasis. Behind a \\ it is read as it stands.", fields: [], edit: () => ({ do: "escape" }) },
  { name: "unescape", label: "Brackets without \\", fields: [], edit: () => ({ do: "unescape" }) },
  { name: "clear", label: "Empty the captions", fields: [], edit: () => ({ do: "clear" }) },
];

export function batchEdits(app, book, say) {
  const choice = el("select.input", { "aria-label": "Edit", data: { action: "edit-kind" } }, EDITS.map(({ name, label }) => el("option", { value: name }, label)));
  const fields = el("div.stack.tight");
  const told = el("p.help", { role: "status", data: { role: "preview" } });
  const notes = el("div.stack.tight");
  const shown = el("div.cap-changes", { tabIndex: 0, role: "region", "aria-label": "What would change" });
  const problem = el("p.problem", { role: "alert", hidden: true });
  const apply = button("Apply", () => run(), { kind: "primary", disabled: true, data: { action: "edit-apply" } });
  const values = { where: "front", place: "2", trigger: "", keep: "0", add: true };
  let who = null;
  let asked = null;
  let ready = null;

  const targets = [["one", "This one"], ["selected", "Selected"], ["shown", "Shown"]].map(([name, label]) => {
    const one = el("button", { type: "button", onclick: () => aim(name), data: { target: name } }, label);
    return { name, label, one };
  });
  const aim = (name) => {
    who = name;
    follow();
  };
  /** Whom the edit is about: what the user has chosen, else the selection where there is one. */
  const target = () => (who === "selected" && !book.selected.size ? null : who) ?? (book.selected.size ? "selected" : "shown");

  const kind = () => EDITS.find(({ name }) => name === choice.value);
  const current = () => {
    const now = Object.fromEntries(kind().fields.map(([name, type]) => [name, values[name] ?? (type === "bool" ? false : "")]));
    return kind().edit(now);
  };

  const draw = () => {
    fill(
      fields,
      kind().help && el("p.help", {}, kind().help),
      kind().fields.map(([name, type, label, choices, when]) => {
        const id = freshId("sdft-edit");
        if (type === "bool") {
          const box = el("input", { type: "checkbox", id, checked: values[name] === true, data: { field: name } });
          box.addEventListener("change", () => put(name, box.checked));
          return el("label.check", {}, box, el("span", {}, label));
        }
        const input =
          type === "choice"
            ? el("select.input", { id, data: { field: name } }, choices.map(([value, text]) => el("option", { value, selected: values[name] === value }, text)))
            : el(type === "int" ? "input.input.number" : "input.input", { id, type: "text", value: values[name] ?? "", spellcheck: "false", autocomplete: "off", inputmode: type === "int" ? "numeric" : undefined, data: { field: name } });
        input.addEventListener("input", () => put(name, input.value));
        input.addEventListener("keydown", (event) => {
          if (event.key === "Enter" && !apply.disabled) run();
        });
        return el("div.field", { hidden: when ? !when(values) : false, data: { when: name } }, el("label.label", { htmlFor: id }, label), input);
      }),
    );
  };
  const put = (name, value) => {
    values[name] = value;
    for (const [field, , , , when] of kind().fields) if (when) fields.querySelector(`[data-when="${field}"]`).hidden = !when(values);
    soon();
  };

  /** Nothing can be applied that the user hasn't been shown. */
  const soon = () => {
    asked?.abort();
    ready = null;
    apply.disabled = true;
    later();
  };
  const look = async () => {
    asked?.abort();
    ready = null;
    apply.disabled = true;
    const edit = current();
    const ids = book.opened === null ? [] : book.ids(target());
    if (!edit || !ids.length) {
      told.textContent = ids.length ? "" : "No picture is meant.";
      fill(shown);
      fill(notes);
      problem.hidden = true;
      return;
    }
    asked = new AbortController();
    const { signal } = asked;
    try {
      const found = await book.ask("preview", { ids, edit, most: SHOWN }, signal);
      if (signal.aborted) return;
      problem.hidden = true;
      ready = { ids: found.ids, edit, preview: found.preview };
      const left = found.count - found.shown.length;
      told.textContent = `${found.count.toLocaleString("en")} of ${count(found.of, "caption changes", "captions change")}.`;
      fill(notes, found.notes.map((text) => el("p.advice", {}, text)));
      fill(
        shown,
        found.shown.map((one) => el("div.cap-change", {}, el("span.quiet", {}, book.entry(one.id)?.name ?? ""), changeNode(one.before, one.after))),
        left > 0 && el("p.help", {}, `and ${left.toLocaleString("en")} more`),
      );
      // The ids that were asked for, so that the server finds the outcome it has shown.
      ready.ids = ids;
      apply.disabled = found.count === 0;
      apply.textContent = found.count ? `Change ${count(found.count, "caption", "captions")}` : "Nothing changes";
    } catch (error) {
      if (error.name === "AbortError") return;
      told.textContent = "";
      fill(shown);
      problem.textContent = error.message;
      problem.hidden = false;
    }
  };
  const later = debounced(look, PAUSE);

  const run = async () => {
    if (!ready) return;
    const now = ready;
    apply.disabled = true;
    try {
      const found = await book.edit(now);
      say([`${count(found.count, "caption is", "captions are")} changed.`, ...(found.notes ?? [])].join(" "));
    } catch (error) {
      say(error.message, "bad");
    }
    look();
  };

  const follow = () => {
    const now = target();
    for (const { name, label, one } of targets) {
      const number = name === "one" ? null : name === "selected" ? book.selected.size : book.shown.length;
      one.textContent = number === null ? label : `${label} ${number.toLocaleString("en")}`;
      one.setAttribute("aria-pressed", String(name === now));
      one.disabled = name === "selected" && !number;
    }
    if (node.offsetParent) soon();
  };
  choice.addEventListener("change", () => {
    draw();
    soon();
  });

  const node = el(
    "div.cap-body",
    {},
    el("div.segments", { role: "group", "aria-label": "Whom the edit is about" }, targets.map(({ one }) => one)),
    choice,
    fields,
    el("div.row.wrap", {}, told, el("span.spring"), apply),
    problem,
    notes,
    shown,
  );
  draw();
  return {
    node,
    follow,
    look,
    /** Prepares renaming a tag. */
    rename(tag) {
      choice.value = "rename";
      values.tag = tag;
      values.to = "";
      draw();
      soon();
      const field = fields.querySelector("[data-field=to]");
      field.focus();
    },
    /** The trigger of the recipe, or the one that the captions seem to have, until the user writes another. */
    suggest(trigger) {
      if (!values.trigger) values.trigger = trigger;
      if (choice.value === "trigger_first") draw();
    },
    get trigger() {
      return String(app.draft.get(`${FIRST}trigger`) ?? "").trim();
    },
  };
}
