// The captions' logic: tags, differences, filters, merging what the server says, texts that wait to be sent, the grid's places.

import assert from "node:assert/strict";
import { test } from "node:test";

import { idsByName, mergeChanges, mergeTokens, renewRequest } from "../../sdft_ext/ui/page/captions/caption_merge.mjs";
import { EDIT_KINDS } from "../../sdft_ext/ui/page/captions/edit_kinds.mjs";
import { ALL_CONCEPTS, filters, filterTree, turnedMode, wantedTags } from "../../sdft_ext/ui/page/captions/filter_tree.mjs";
import { readFolder } from "../../sdft_ext/ui/page/captions/folder_reading.mjs";
import { keyStep, placeAfter, rowsToKeep, scrolledTo } from "../../sdft_ext/ui/page/captions/grid_layout.mjs";
import { linksOf } from "../../sdft_ext/ui/page/shared/folders.mjs";
import { plainTag, tagsOf } from "../../sdft_ext/ui/page/captions/tags.mjs";
import { changes } from "../../sdft_ext/ui/page/captions/text_changes.mjs";
import { UnsentTexts } from "../../sdft_ext/ui/page/captions/unsent_texts.mjs";

const picture = (id, caption, revision = 1, name = `${id}.png`) => ({ id, name, caption, revision, tokens: null });
const byId = (...pictures) => new Map(pictures.map((one) => [one.id, one]));

test("tags are split at commas and compared without case and doubled spaces", () => {
  assert.deepEqual(tagsOf(" sks dog,, Red  Sofa , "), ["sks dog", "Red  Sofa"]);
  assert.equal(plainTag("  Red \n Sofa "), "red sofa");
});

test("a change is shown word by word, in one piece where neighbouring words change", () => {
  assert.deepEqual(changes("a red sofa, day", "a blue armchair, day"), [["same", "a "], ["old", "red sofa"], ["new", "blue armchair"], ["same", ", day"]]);
  assert.deepEqual(changes("a dog", "a dog"), [["same", "a dog"]]);
  assert.deepEqual(changes("", "new words"), [["new", "new words"]]);
  assert.deepEqual(changes("one two three", "one three"), [["same", "one "], ["old", "two "], ["same", "three"]]);
  assert.deepEqual(changes("one, two", "eins, zwei"), [["old", "one"], ["new", "eins"], ["same", ", "], ["old", "two"], ["new", "zwei"]]);
  assert.deepEqual(changes("one,two", "eins,zwei"), [["old", "one"], ["new", "eins"], ["same", ","], ["old", "two"], ["new", "zwei"]]);
  assert.deepEqual(changes(" q", "n "), [["new", "n"], ["same", " "], ["old", "q"]], "a space that stays is neither old nor new");
});

test("both texts can be read out of their change", () => {
  const texts = ["", " ", ",a", "a", "a  b,, c\n", "a, b, c", "c, b, a", "sks dog, red sofa, night", "x ".repeat(700), "y x ".repeat(700), "sks  dog,\nnight", "語 語, dog"];
  for (const before of texts) {
    for (const after of texts) {
      const found = changes(before, after);
      assert.equal(found.filter(([kind]) => kind !== "new").map(([, piece]) => piece).join(""), before);
      assert.equal(found.filter(([kind]) => kind !== "old").map(([, piece]) => piece).join(""), after);
    }
  }
});

test("captions of thousands of words are compared at once, from both ends", () => {
  const words = Array.from({ length: 20_000 }, (_, i) => `w${i}`);
  const found = changes(`start ${words.join(" ")} end`, `start ${words.reverse().join(" ")} end`);
  assert.deepEqual(found.map(([kind]) => kind), ["same", "old", "new", "same"]);
});

const NOTHING = { tags: new Map(), text: "", regex: false, low: "", high: "", concept: ALL_CONCEPTS, kinds: new Set(), selected: [] };

test("a filter without any choice shows all", () => {
  assert.equal(filterTree(NOTHING), null);
  assert.equal(filterTree({ ...NOTHING, text: "  ", low: "many" }), null);
  assert.equal(filterTree({ ...NOTHING, low: "-1", high: "1.5" }), null);
  assert.equal(filters(NOTHING), false);
  assert.equal(filters({ ...NOTHING, low: " " }), false);
});

test("a filter asks for all of its parts", () => {
  const tags = new Map([["dog", "all"], ["cat", "none"], ["day", "any"], ["night", "any"]]);
  const choice = { ...NOTHING, tags, text: " sofa ", low: "3", high: "75", concept: "", kinds: new Set(["selected", "empty"]), selected: [4, 7] };
  assert.deepEqual(filterTree(choice), {
    all: [
      { tag: "dog" },
      { not: { tag: "cat" } },
      { any: [{ tag: "day" }, { tag: "night" }] },
      { any: [{ text: "sofa" }, { name: "sofa" }] },
      { tokens: { least: 3, most: 75 } },
      { concept: "" },
      { empty: true },
      { ids: [4, 7] },
    ],
  });
  assert.equal(filters(choice), true);
  assert.deepEqual([...wantedTags(tags)], ["dog", "day", "night"]);
});

test("lengths can be limited on one side", () => {
  assert.deepEqual(filterTree({ ...NOTHING, low: "0" }), { all: [{ tokens: { least: 0 } }] });
  assert.deepEqual(filterTree({ ...NOTHING, high: " 75 " }), { all: [{ tokens: { most: 75 } }] });
});

test("a regular expression is sent as it was typed", () => {
  assert.deepEqual(filterTree({ ...NOTHING, text: " ", regex: true }), { all: [{ regex: " " }] });
  assert.deepEqual(filterTree({ ...NOTHING, text: " a|b ", regex: true }), { all: [{ regex: " a|b " }] });
});

test("clicks on a tag ask for it, leave it out, and forget it", () => {
  assert.deepEqual([turnedMode(null), turnedMode("all"), turnedMode("none"), turnedMode("any")], ["all", "none", null, null]);
});

test("changes of the server replace what is older, and pictures that are gone go", () => {
  const entries = byId(picture(1, "one", 5), picture(2, "two"), picture(3, "three"));
  const found = mergeChanges(entries, { changed: [picture(1, "stale", 4), picture(2, "TWO", 2), picture(9, "new", 1, "0.png")], gone: [3] });
  assert.deepEqual(found, { ids: [2, 9], added: true, gone: new Set([3]) });
  assert.deepEqual([...entries.values()].map((one) => one.caption), ["one", "TWO", "new"]);
  assert.deepEqual(idsByName(entries), [9, 1, 2]);
});

test("only token counts that differ are news", () => {
  const entries = byId(picture(1, "one"), picture(2, "two"));
  assert.deepEqual(mergeTokens(entries, [[1, 3], [7, 5]]), [1]);
  assert.deepEqual(mergeTokens(entries, [[1, 3], [2, 4]]), [2]);
});

test("a request is repeated for a reopened folder by the pictures' names", () => {
  const before = byId(picture(1, "one", 1, "a"), picture(2, "two", 1, "b"));
  const now = byId(picture(11, "two", 1, "b"), picture(12, "one", 1, "a"));
  assert.deepEqual(renewRequest({ ids: [1, 2], since: 8, revision: 1, edit: {} }, before, now), { ids: [12, 11], edit: {} });
  assert.deepEqual(renewRequest({ since: 8 }, before, now), {});
  assert.equal(renewRequest({ ids: [1, 2] }, before, byId(picture(11, "two", 1, "b"))), null, "a picture is gone");
  assert.equal(renewRequest({ ids: [1], revision: 1 }, before, byId(picture(11, "other", 1, "a"))), null, "its caption is another one");
});

test("texts that wait to be sent outlive the page, by the pictures' names", () => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => kept.set(key, text), removeItem: (key) => kept.delete(key) };
  const before = new UnsentTexts(() => storage);
  const entries = byId(picture(1, "one", 1, "a"), picture(2, "two", 6, "b"));
  before.set(1, "one!", 1);
  before.set(2, "two!", 6);
  before.set(2, "two!!", 7);
  assert.equal(before.revision(2), 6, "it was typed over the first revision");
  before.keep("/pictures", entries);

  const after = new UnsentTexts(() => storage);
  after.restore("/pictures", byId(picture(11, "one!", 3, "a"), picture(12, "two", 4, "b")));
  assert.deepEqual(after.list(), [[12, "two!!"]], "the other one has arrived");
  assert.equal(after.revision(12), 4);
  after.restore("/elsewhere", entries);
  assert.equal(after.size, 0);

  before.delete(1);
  before.delete(2);
  before.keep("/pictures", entries);
  assert.equal(kept.size, 0);
});

test("texts that wait to be sent stay in the page where the browser keeps nothing", () => {
  const texts = new UnsentTexts(() => {
    throw new Error("no storage");
  });
  texts.set(1, "one!", 1);
  texts.keep("/pictures", byId(picture(1, "one")));
  assert.equal(texts.text(1), "one!");
});

test("a folder is read in as many answers as it takes, from its start where it was reloaded meanwhile", async () => {
  const answers = [
    { opened: "x", pictures: ["a"], next: 1, total: 3 },
    { opened: "y", pictures: ["?"], next: 2, total: 3 },
    { opened: "y", pictures: ["A", "B"], next: 2, total: 3 },
    { opened: "y", pictures: ["C"], next: null, total: 3 },
  ];
  const asked = [];
  const progress = [];
  const api = { post: async (path, body) => (asked.push([body.start, body.linked_folder]), answers.shift()) };
  const draft = { get: () => "/linked" };
  const { first, pictures } = await readFolder(api, "/pictures", undefined, (done, total) => progress.push([done, total]), linksOf({ draft }));
  assert.deepEqual(asked, [[0, "/linked"], [1, "/linked"], [0, "/linked"], [2, "/linked"]]);
  assert.deepEqual(linksOf({ draft: { get: () => "" } }), {});
  assert.equal(first.opened, "y");
  assert.deepEqual(pictures, ["A", "B", "C"]);
  assert.deepEqual(progress, [[1, 3], [2, 3]]);
});

const edit = (name, values) => EDIT_KINDS.find((kind) => kind.name === name).edit(values);

test("edits are sent as the server reads them, and not before they say something", () => {
  assert.equal(edit("add", { tags: " , ", where: "front", place: "2" }), null);
  assert.deepEqual(edit("add", { tags: "a, b", where: "back", place: "2" }), { do: "add", tags: ["a", "b"], where: "back" });
  assert.deepEqual(edit("add", { tags: "a", where: "place", place: "2" }), { do: "add", tags: ["a"], where: 1 });
  assert.deepEqual(edit("add", { tags: "a", where: "place", place: "-1" }), { do: "add", tags: ["a"], where: -1 });
  for (const place of ["0", "", "two"]) assert.equal(edit("add", { tags: "a", where: "place", place }), null);
  assert.deepEqual(edit("rename", { tag: " dog ", to: "" }), { do: "rename", tag: "dog", to: "" });
  assert.deepEqual(edit("replace", { find: " a", with: "b ", words: true, case: false }), { do: "replace", find: " a", with: "b ", words: true, case: false });
  assert.equal(edit("regex", { find: "", with: "", case: false }), null);
  assert.equal(edit("sort", { keep: "x" }), null);
  assert.equal(edit("sort", { keep: "-1" }), null);
  assert.deepEqual(edit("sort", { keep: "1" }), { do: "sort", keep: 1 });
});

test("arrow keys stay in their column, and others at the ends", () => {
  const [columns, total] = [4, 10]; // rows of 4, 4 and 2
  const after = (place, key) => placeAfter(place, keyStep(key, columns, 8), columns, total);
  assert.deepEqual([after(1, "ArrowDown"), after(5, "ArrowDown"), after(6, "ArrowDown"), after(9, "ArrowDown")], [5, 9, 9, 9]);
  assert.deepEqual([after(5, "ArrowUp"), after(1, "ArrowUp"), after(4, "ArrowLeft"), after(9, "ArrowRight")], [1, 1, 3, 9]);
  assert.deepEqual([after(5, "Home"), after(5, "End"), after(1, "PageDown"), after(5, "PageDown"), after(5, "PageUp")], [0, 9, 9, 9, 0]);
  assert.equal(keyStep("a", columns, 8), undefined);
});

test("rows are kept around what is in sight, and a row is scrolled into it no further than needed", () => {
  assert.deepEqual(rowsToKeep(0, 500, 200), [0, 5]);
  assert.deepEqual(rowsToKeep(1000, 500, 200), [3, 10]);
  assert.equal(scrolledTo(3, 0, 500, 200), 300, "below");
  assert.equal(scrolledTo(1, 1000, 500, 200), 200, "above");
  assert.equal(scrolledTo(1, 100, 500, 200), 100, "in sight");
});
