// The logic of the Runs, Evaluate and Guide panels: searching, the two runs that are compared, the saves that are.

import assert from "node:assert/strict";
import { test } from "node:test";

import { conceptPrompts, linesOf, previewStep, spreadSaves, weightsOf } from "../../sdft_ext/ui/page/evaluate/saves.mjs";
import { chosenPair } from "../../sdft_ext/ui/page/runs/pair.mjs";
import { changeable, namedSettings, ResumeChanges } from "../../sdft_ext/ui/page/shared/resume_changes.mjs";
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

test("a run is resumed with the settings that its state doesn't depend on, of its own method", () => {
  const field = (path, at_resume, methods = []) => ({ path, at_resume, methods });
  const fields = [field("train.learning_rate", true), field("train.seed", false), field("method.embedding.learning_rate", true, ["pivotal"])];
  const schema = { sections: [{ fields }] };
  assert.deepEqual(changeable(schema, "lora").map(({ path }) => path), ["train.learning_rate"]);
  assert.deepEqual(changeable(schema, "pivotal").length, 2);
  const nan = "The loss is NaN at step 7. Resume the run with a lower train.learning_rate: it goes on from step 6. Or start again.";
  assert.deepEqual(namedSettings(nan, changeable(schema, "lora")), ["train.learning_rate"]);
  assert.deepEqual(namedSettings("Set train.learning_rate_scale.", fields), []);
  assert.deepEqual(namedSettings("Lower method.embedding.learning_rate.", fields), ["method.embedding.learning_rate"]);
});

test("only what differs from the run's own settings is sent", () => {
  const changes = new ResumeChanges({ train: { learning_rate: 0.01, warmup: 0 } });
  let count = 0;
  changes.changed = () => count++;
  changes.set("train.learning_rate", 0.001);
  changes.set("train.warmup", 5);
  changes.set("train.warmup", 0);
  changes.mark("train.length", "Enter a number.");
  assert.deepEqual([changes.settings, changes.get("train.learning_rate"), changes.get("train.warmup")], [{ "train.learning_rate": 0.001 }, 0.001, 0]);
  assert.deepEqual([...changes.invalid.keys(), count], ["train.length", 4]);
  changes.set("train.length", 7);
  assert.equal(changes.invalid.size, 0);
});
