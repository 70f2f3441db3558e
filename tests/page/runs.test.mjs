// The logic of the Runs, Evaluate and Guide panels: searching, the two runs that are compared, the saves that are.

import assert from "node:assert/strict";
import { test } from "node:test";

import { conceptPrompts, firstOfEach, linesOf, previewStep, spreadSaves, weightsOf } from "../../sdft_ext/ui/page/evaluate/saves.mjs";
import { pictureRoute, reportBlocks } from "../../sdft_ext/ui/page/shared/report_text.mjs";
import { continueSetting, nextName } from "../../sdft_ext/ui/page/shared/continue.mjs";
import { chosenPair } from "../../sdft_ext/ui/page/runs/pair.mjs";
import { changeable, namedSettings, ResumeChanges } from "../../sdft_ext/ui/page/shared/resume_changes.mjs";
import { matcher } from "../../sdft_ext/ui/page/shared/search.mjs";
import { judgedCount, lastVerdict, recommendedSave } from "../../sdft_ext/ui/page/shared/verdict.mjs";

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
  const saves = Array.from({ length: 9 }, (_, number) => ({ step: number * 10, scheduled: true }));
  assert.deepEqual(spreadSaves(saves).map(({ step }) => step), [0, 20, 40, 60, 80]);
  assert.deepEqual(spreadSaves(saves.slice(0, 5)), saves.slice(0, 5));
  const requested = [...saves, { step: 81, scheduled: false }, { step: 82, scheduled: false }];
  assert.deepEqual(spreadSaves(requested).map(({ step }) => step), [0, 20, 50, 70, 82], "requested ones take no other's place, but for the last");
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

test("of a prompt's pictures with several seeds, the first is shown", () => {
  const prompts = ["a", "b", "a", "b"].map((prompt, number) => ({ prompt, number }));
  assert.deepEqual(firstOfEach(prompts).map(({ number }) => number), [0, 1]);
});

test("a report is taken apart into headings, paragraphs, lists, tables and pictures, and stays text", () => {
  const text = String.raw`# a\_b &lt;i&gt;

**finished** after 4 steps.
Fine \*really\*.

| what | measured |
|---|---|
| a \| b | [cat-2](saves/cat%202.safetensors) |
| ![before](controls/concept/00/step-000010.png) | |

- one <b>
- two
All of it: [recipe.yaml](recipe.yaml).`;
  const plain = (text) => [{ kind: "text", text }];
  assert.deepEqual(reportBlocks(text), [
    { kind: "heading", level: 1, pieces: plain("a_b <i>") },
    { kind: "paragraph", pieces: [{ kind: "strong", text: "finished" }, ...plain(" after 4 steps. Fine *really*.")] },
    {
      kind: "table",
      head: [plain("what"), plain("measured")],
      rows: [
        [plain("a | b"), [{ kind: "link", text: "cat-2", target: "saves/cat%202.safetensors" }]],
        [[{ kind: "image", text: "before", target: "controls/concept/00/step-000010.png" }], []],
      ],
    },
    { kind: "list", items: [plain("one <b>"), plain("two")] },
    { kind: "paragraph", pieces: [...plain("All of it: "), { kind: "link", text: "recipe.yaml", target: "recipe.yaml" }, ...plain(".")] },
  ]);
});

test("only the run's own pictures are shown in its report", () => {
  const paths = ["loss.png", "controls/grid.png", "controls/bleeding/03/step-000120.png", "controls/x/03/step-1.png", "https://example.org/a.png", "../loss.png"];
  assert.deepEqual(paths.map(pictureRoute), ["loss", "grid", "controls/bleeding/3/120", null, null, null]);
});

test("a run continues from the file that its method can read, under the next name", () => {
  const field = (path, ...methods) => ({ path, methods });
  const sections = [{ fields: [field("method.lora.rank", "lora"), field("method.lora.continue_from", "lora", "loha")] }, { fields: [field("method.embedding.continue_from", "textual_inversion")] }];
  const names = ["lora", "textual_inversion", "dreambooth"].map((method) => continueSetting({ sections }, method));
  assert.deepEqual(names, ["method.lora.continue_from", "method.embedding.continue_from", undefined]);
  assert.deepEqual(["cat", "cat-2", "cat-12", "my-cat", "run-20240101"].map(nextName), ["cat-2", "cat-3", "cat-13", "my-cat-2", "run-20240101-2"]);
});

test("the newest verdict counts, and recommends only a save that still exists", () => {
  const marks = [
    { step: 10, event: "verdict", word: "learning", save: 10, text: "early", panel: "train" },
    { step: 20, event: "judged" },
    { step: 20, event: "verdict", word: "learned", save: 20, text: "late", panel: "" },
  ];
  assert.deepEqual(lastVerdict(marks), { word: "learned", save: 20, text: "late", panel: "" });
  assert.equal(lastVerdict([]), null);
  assert.deepEqual(recommendedSave({ marks, saves: [{ step: 10 }, { step: 20 }] }), { step: 20 });
  assert.equal(recommendedSave({ marks, saves: [{ step: 10 }] }), undefined);
  assert.equal(recommendedSave({ marks: [], saves: [{ step: 10 }] }), undefined);
  assert.equal(recommendedSave({ marks: [{ step: 9, event: "verdict", word: "not learned", save: 9 }], saves: [{ step: 9 }] }), undefined);
  assert.equal(judgedCount([{ step: 3, event: "judged", learned: [1, 4] }, { step: 3, event: "judged", learned: [2, 4] }], 3, "learned"), "2 of 4");
  assert.equal(judgedCount(marks, 20, "bleeding"), "");
});
