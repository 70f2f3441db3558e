// The edits of many captions at once: their fields, and each as the server reads it.

/** @import { Edit } from "./types.d.ts" */

/**
 * @typedef {object} EditField
 * @property {string} name
 * @property {"text" | "int" | "choice" | "bool"} type
 * @property {string} label
 * @property {[string, string][]} [choices]
 * @property {(values: Values) => boolean} [when] whether it is asked for
 */

/** @typedef {Record<string, string | boolean>} Values The fields' values by name. */

/**
 * @typedef {object} EditKind
 * @property {string} name
 * @property {string} label
 * @property {string} [help]
 * @property {EditField[]} fields
 * @property {(values: Values) => Edit | null} edit null where something is missing
 */

const PATTERN = "Pattern, such as (\\w+) cat";

/** @type {EditKind[]} */
export const EDIT_KINDS = [
  {
    name: "add",
    label: "Add tags",
    fields: [
      text("tags", "Tags, separated by commas"),
      {
        name: "where",
        type: "choice",
        label: "Where",
        choices: [
          ["front", "At the start"],
          ["back", "At the end"],
          ["place", "At a position"],
        ],
      },
      { name: "place", type: "int", label: "Position", when: ({ where }) => where === "place" },
    ],
    edit: addEdit,
  },
  {
    name: "remove",
    label: "Remove tags",
    fields: [text("tags", "Tags, separated by commas")],
    edit: ({ tags }) => (list(tags).length ? { do: "remove", tags: list(tags) } : null),
  },
  {
    name: "rename",
    label: "Rename a tag",
    fields: [text("tag", "Tag"), text("to", "New name; leave it empty to remove the tag")],
    edit: ({ tag, to }) => (trimmed(tag) ? { do: "rename", tag: trimmed(tag), to: trimmed(to) } : null),
  },
  {
    name: "replace",
    label: "Replace text",
    fields: [text("find", "Find"), text("with", "Replace with"), box("words", "Whole words only"), box("case", "Match case")],
    edit: ({ find, with: replacement, words, case: capitals }) =>
      find ? { do: "replace", find, with: replacement, words, case: capitals } : null,
  },
  {
    name: "regex",
    label: "Replace by a regular expression",
    fields: [text("find", PATTERN), text("with", "Replace with; \\1 is the first group"), box("case", "Match case")],
    edit: ({ find, with: replacement, case: capitals }) => (find ? { do: "regex", find, with: replacement, case: capitals } : null),
  },
  {
    name: "trigger_first",
    label: "Put the trigger first",
    fields: [text("trigger", "Trigger"), box("add", "Add it where it is missing")],
    edit: ({ trigger, add }) => (trimmed(trigger) ? { do: "trigger_first", trigger: trimmed(trigger), add } : null),
  },
  {
    name: "sort",
    label: "Sort tags alphabetically",
    fields: [{ name: "keep", type: "int", label: "Tags that stay at the start" }],
    edit: ({ keep }) => (/^\d*$/.test(String(keep)) ? { do: "sort", keep: Number(keep) } : null),
  },
  { name: "unique", label: "Remove duplicate tags", fields: [], edit: () => ({ do: "unique" }) },
  { name: "spaces", label: "Underscores to spaces", fields: [], edit: () => ({ do: "spaces" }) },
  {
    name: "escape",
    label: "Escape brackets",
    help: "In a prompt, brackets mean emphasis. With a \\ before them they are read as plain text.",
    fields: [],
    edit: () => ({ do: "escape" }),
  },
  { name: "unescape", label: "Unescape brackets", fields: [], edit: () => ({ do: "unescape" }) },
  { name: "clear", label: "Clear the captions", fields: [], edit: () => ({ do: "clear" }) },
];

/** @param {Values} values */
function addEdit({ tags, where, place }) {
  if (!list(tags).length) return null;
  if (where !== "place") return { do: "add", tags: list(tags), where };
  // People count from 1; the server counts from 0, and from the end below that.
  const number = /^-?\d+$/.test(String(place)) ? Number(place) : 0;
  return number ? { do: "add", tags: list(tags), where: number > 0 ? number - 1 : number } : null;
}

/**
 * @param {string} name
 * @param {string} label
 * @returns {EditField}
 */
function text(name, label) {
  return { name, type: "text", label };
}

/**
 * @param {string} name
 * @param {string} label
 * @returns {EditField}
 */
function box(name, label) {
  return { name, type: "bool", label };
}

/** @param {string | boolean} value */
function trimmed(value) {
  return String(value).trim();
}

/** @param {string | boolean} value */
function list(value) {
  return String(value).split(",").map(trimmed).filter(Boolean);
}
