// The logic of the Runs, Evaluate and Guide panels: searching, the two runs that are compared, the saves that are.

import assert from "node:assert/strict";
import { test } from "node:test";

import { conceptPrompts, linesOf, previewStep, spreadSaves, weightsOf } from "../../sdft_ext/ui/page/evaluate/saves.mjs";
import { chosenPair } from "../../sdft_ext/ui/page/runs/pair.mjs";
import { matcher } from "../../sdft_ext/ui/page/shared/search.mjs";

test("a search finds texts with all of its words, in any order and case", () => {
  const matches = matcher("  LoRA rank ");
  assert.deepEqual(["The rank of a LoRA", "rank", ""].map(matches), [true, false, false]);
  assert.equal(matcher("")("anything"), true);
});

test("of three runs that are marked, the first one goes", () => {
  let pair = [];
  for (const id of ["a", "b", "c"]) pair = chosenPair(pair, id, true);
  assert.deepEqual(pair, ["b", "c"]);
  assert.deepEqual(chosenPair(pair, "b", true), ["c", "b"]);
  assert.deepEqual(chosenPair(pair, "b", false), ["c"]);
});

test("at most five saves are chosen, evenly spread, with the first and the last", () => {
  const saves = Array.from({ length: 9 }, (_, number) => ({ step: number * 10 }));
  assert.deepEqual(spreadSaves(saves).map(({ step }) => step), [0, 20, 40, 60, 80]);
  assert.deepEqual(spreadSaves(saves.slice(0, 5)), saves.slice(0, 5));
});

test("a save's preview is drawn at its step, or as late before it as there are pictures", () => {
  assert.deepEqual([20, 25, 5, 99].map((step) => previewStep([10, 20, 30], step)), [20, 20, 10, 30]);
  assert.deepEqual(conceptPrompts({ prompts: [{ set: "concept", prompt: "a" }, { set: "bleeding", prompt: "b" }] }), [{ set: "concept", prompt: "a" }]);
});

test("prompts are lines, and weights numbers", () => {
  assert.deepEqual(linesOf(" a cat \n\n a dog"), ["a cat", "a dog"]);
  assert.deepEqual(weightsOf("0.6, 0.8;1  -2"), [0.6, 0.8, 1, -2]);
  for (const text of ["", " , ", "0.6, heavy"]) assert.throws(() => weightsOf(text), /separated by commas/);
});
