// The logic of ratings, single pictures and compared runs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { changeText, sortedPictures } from "../../sdft_ext/ui/page/evaluate/picture_order.mjs";
import { comparedOrder, pointsOf, shareText, stacked } from "../../sdft_ext/ui/page/runs/judged_order.mjs";
import { earlierSave, givenKind, nearestOf, pictureAddress, promptWords, proposalOf, ratingGroups, wordFilter } from "../../sdft_ext/ui/page/shared/ratings.mjs";

const picture = (name, before, now, finding = "") => ({ name, before, now, change: before && now ? now / before - 1 : null, finding });
const names = (pictures) => pictures.map(({ name }) => name);

test("single pictures are sorted by each column, those without a value last", () => {
  const pictures = [picture("10.png", 0.2, 0.1), picture("9.png", 0.1, 0.12, "mislabelled"), picture("a.png", null, 0.3, "hard"), picture("2.png", 0.3, null)];
  assert.deepEqual(names(sortedPictures(pictures, "name", false)), ["2.png", "9.png", "10.png", "a.png"]);
  assert.deepEqual(names(sortedPictures(pictures, "now", true)), ["a.png", "9.png", "10.png", "2.png"]);
  assert.deepEqual(names(sortedPictures(pictures, "change", true)), ["9.png", "10.png", "a.png", "2.png"]);
  assert.deepEqual(names(sortedPictures(pictures, "change", false)), ["10.png", "9.png", "a.png", "2.png"]);
  assert.deepEqual(names(sortedPictures(pictures, "finding", false)), ["9.png", "a.png", "2.png", "10.png"]);
  assert.deepEqual([-0.253, 0.1, 0, null].map(changeText), ["−25 %", "+10 %", "0 %", "–"]);
});

const run = (id, group, worth, more = {}) => ({ id, name: id, group, worth, word: "learned", learned: [7, 8], bleeding: [1, 8], best: false, ...more });

test("judged runs come first, those of the same pictures together, the one that is worth most first", () => {
  const runs = [run("a", "cats", 0.5), run("none", "cats", null, { word: "" }), run("b", "dogs", 0.9), run("c", "cats", 0.7), run("d", "cats", null, { word: "not learned" })];
  assert.deepEqual(comparedOrder(runs).map(({ id }) => id), ["c", "a", "d", "b", "none"]);
});

test("a chart has a point for each judged run, numbered as its row", () => {
  const runs = [run("a", "x", 1, { best: true }), run("b", "x", 1), run("c", "x", 1, { bleeding: null, learned: [2, 8] }), run("d", "x", null, { word: "", learned: null })];
  const points = pointsOf(runs);
  assert.deepEqual(points.map(({ number, x, y, best }) => [number, x, y, best]), [[1, 0.125, 0.875, true], [2, 0.125, 0.875, false], [3, 0, 0.25, false]]);
  assert.match(points[0].label, /^1\. a: 7 of 8 learned, 1 of 8 bleeding$/);
  assert.deepEqual(stacked(points).map((same) => same.map(({ number }) => number)), [[1, 2], [3]]);
  assert.equal(shareText(null), "–");
});

const kinds = ["unlike", "unprompted", "burned"].map((name) => ({ name, label: name, leads: [] }));
const rated = (set, number, step, rating) => ({ set, number, step, rating });

test("ratings that were given come before proposed ones, which only stand for pictures nobody rated", () => {
  const given = [rated("concept", 0, 10, "burned")];
  const proposed = [rated("concept", 0, 10, "unlike"), rated("bleeding", 1, 10, "unprompted"), rated("bleeding", 1, 20, "unprompted")];
  const ratings = { kinds, given, proposed };
  const groups = ratingGroups(ratings, 10).map(({ kind, proposed: isProposed, pictures }) => [kind.name, isProposed, pictures.length]);
  assert.deepEqual(groups, [["burned", false, 1], ["unprompted", true, 1]]);
  assert.equal(givenKind(ratings, { set: "concept", number: 0, step: 10 }).name, "burned");
  assert.equal(givenKind(ratings, { set: "concept", number: 0, step: 20 }), undefined);
  assert.equal(givenKind(null, given[0]), undefined);
  assert.equal(proposalOf(ratings, { set: "bleeding", number: 1, step: 20 }).rating, "unprompted");
});

test("an earlier save is the last one before the step", () => {
  const saves = [{ step: 10 }, { step: 20 }, { step: 30 }];
  assert.deepEqual([earlierSave(saves, 30), earlierSave(saves, 25), earlierSave(saves, 10)], [{ step: 20 }, { step: 20 }, undefined]);
});

test("captions are filtered by a word, or by its absence", () => {
  assert.deepEqual(wordFilter(" hat ", "with"), { text: "hat" });
  const { text, regex } = wordFilter("hat (red)", "without");
  assert.equal(regex, true);
  const found = new RegExp(text, "i");
  assert.deepEqual(["a cat", "a hat (red), a cat", "a Hat (Red)"].map((caption) => found.test(caption)), [true, false, false]);
  assert.deepEqual(promptWords("a sks cat, on a red sofa; cat"), ["sks", "cat", "red", "sofa"]);
});

test("a rated picture has the address of its set", () => {
  assert.equal(pictureAddress("r%20n", { set: "bleeding", number: 2, step: 30 }), "runs/r%20n/controls/bleeding/2/30");
  assert.equal(pictureAddress("run", { set: "words", number: 2, step: 30 }), "runs/run/words/30/2");
});

test("the nearest instance picture is named, with how near it is", () => {
  const nearest = [{ set: "concept", number: 0, step: 5, distance: 0.614, copied: false, name: "a.png" }, { set: "concept", number: 1, step: 5, distance: 0.1, copied: true, name: "b.png" }];
  const text = (number) => nearestOf({ nearest }, { set: "concept", number, step: 5 })?.text;
  assert.equal(text(0), "The nearest instance picture is a.png, at 61 % of what instance pictures usually are from each other.");
  assert.equal(text(1), "The nearest instance picture is b.png, which this one repeats: its distance is 10 % of what instance pictures usually are from each other.");
  assert.equal(text(2), undefined);
});
