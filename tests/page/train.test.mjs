import assert from "node:assert/strict";
import { test } from "node:test";
import { inWords, namesOf, settingNamed, withLabels } from "../../sdft_ext/ui/page/shared/setting_names.mjs";
import { factsOf, memoryUse } from "../../sdft_ext/ui/page/train/calculation.mjs";
import { fitText, rowsOf } from "../../sdft_ext/ui/page/train/methods.mjs";
import { matcher } from "../../sdft_ext/ui/page/shared/search.mjs";
import { searchedText, usedBy } from "../../sdft_ext/ui/page/train/settings_filter.mjs";

const FOUND = { pictures: 12, regularization: 0, steps: 1200, epochs: 100, steps_per_epoch: 12, saves: [400, 800, 1200], problems: [], memory: null };
const facts = (changes) => Object.fromEntries(factsOf({ ...FOUND, ...changes }));

test("a recipe's figures are written for people", () => {
  assert.deepEqual(facts({ seconds: 190 }), {
    Pictures: "12",
    Steps: "1,200",
    Epochs: "100 of 12 steps",
    Saves: "3, at steps 400, 800, 1200",
    Time: "about 3 min 10 s",
  });
  assert.equal(facts({ regularization: 240 }).Pictures, "12 + 240 regularization");
  assert.equal(facts({ measured: "nowhere yet" }).Time, "measured once it runs");
  assert.equal(facts({}).Time, undefined);
});

test("of many saves the first three and the last are named", () => {
  assert.equal(facts({ saves: [1200] }).Saves, "1, at step 1200");
  assert.equal(facts({ saves: [1, 2, 3, 4, 5, 6], saves_count: 9000 }).Saves, "9000, at steps 1, 2, 3 … 6");
});

test("without pictures there are no figures", () => {
  assert.deepEqual(factsOf({ ...FOUND, pictures: null }), []);
});

test("memory is a share of what is free, and serious from 85 % on", () => {
  const memory = { needed_mb: 4096, free_mb: 8192, parts: {}, fits: true, estimate: false, mode: "shared", text: "" };
  assert.deepEqual(memoryUse(memory), { share: 0.5, level: "good", text: "4.0 GB of 8.0 GB free" });
  assert.equal(memoryUse({ ...memory, needed_mb: 7500 }).level, "warn");
  assert.equal(memoryUse({ ...memory, needed_mb: 9000, fits: false }).level, "bad");
  assert.equal(memoryUse({ ...memory, needed_mb: 9000 }).share, 1);
  assert.equal(memoryUse({ ...memory, estimate: true }).text, "estimate: 4.0 GB of 8.0 GB free");
  assert.equal(memoryUse({ ...memory, free_mb: 0 }).share, 0);
});

const FIELDS = {
  "train.batch_size": { label: "Batch size" },
  "dataset.concepts.0.instance": { label: "Pictures" },
  "watch.prompts": { label: "Prompts" },
  "method.name": { label: "Method", choices: ["lora", "textual_inversion", "pivotal"] },
  "train.schedule": { label: "Schedule", choices: ["steps", "constant_with_warmup"] },
  "train.checkpointing": { label: "Checkpointing", type: "bool" },
};
const SCHEMA = { methods: [{ name: "lora", label: "LoRA" }, { name: "textual_inversion", label: "Textual inversion" }, { name: "pivotal", label: "Pivotal tuning" }] };
const find = namesOf({ draft: { field: (path) => FIELDS[path] && { path, ...FIELDS[path] } }, schema: SCHEMA });

test("a sentence's setting is found by its path, in a concept and in a list too", () => {
  assert.equal(settingNamed("train.batch_size: write a whole number.", find), "train.batch_size");
  assert.equal(settingNamed("concepts[0].instance is empty.", find), "dataset.concepts.0.instance");
  assert.equal(settingNamed("watch.prompts[3] is too long.", find), "watch.prompts");
  assert.equal(settingNamed("Load another model, e.g. v1-5.safetensors.", find), undefined);
});

test("paths become labels, and a sentence doesn't begin with its own setting", () => {
  assert.equal(withLabels("train.batch_size: write a whole number.", "train.batch_size", find), "write a whole number.");
  assert.equal(withLabels("Choose train.batch_size for dataset.concepts.0.instance.", "train.batch_size", find), "Choose “Batch size” for “Pictures”.");
  assert.equal(inWords("Lower train.batch_size, not train.nothing.", find), "Lower “Batch size”, not train.nothing.");
});

test("a setting's value has the name that its control shows", () => {
  for (const [sentence, shown] of [
    ["train.warmup is only used with method.name=lora or pivotal.", "train.warmup is only used with LoRA or Pivotal tuning."],
    ["method.name is textual_inversion, but has no words.", "Method is Textual inversion, but has no words."],
    ["Set method.name to lora, textual_inversion or pivotal.", "Set “Method” to LoRA, Textual inversion or Pivotal tuning."],
    ["It is only used with train.schedule=steps.", "It is only used with “Schedule” set to steps."],
    ["train.schedule is 'constant_with_warmup', not another.", "Schedule is constant with warmup, not another."],
    ["Set train.checkpointing to true, or lower train.batch_size to 1.", "Set “Checkpointing” to on, or lower “Batch size” to 1."],
    ["train.batch_size is 3, or more.", "Batch size is 3, or more."],
    ["train.schedule is wrong.", "Schedule is wrong."],
  ]) {
    assert.equal(inWords(sentence, find), shown);
  }
});

test("a search needs all of its words, anywhere in a setting", () => {
  const field = { label: "Huber delta", help: "Where the loss becomes linear." };
  const found = (typed) => matcher(typed)(searchedText(field, "train.huber_delta", "Loss"));
  assert.ok(found("HUBER linear") && found("loss train.") && found("  "));
  assert.ok(!found("huber nothing"));
});

test("a setting without methods is used by all", () => {
  assert.ok(usedBy({ methods: [] }, "lora") && usedBy({ methods: ["lora"] }, "lora"));
  assert.ok(!usedBy({ methods: ["lora"] }, "dreambooth"));
});

test("the time says how much of it is for control pictures, where that is known", () => {
  assert.equal(facts({ seconds: 600, preview_seconds: 120 }).Time, "about 10 min 0 s, 2 min 0 s of it for control pictures");
  assert.equal(facts({ seconds: 600, preview_seconds: null }).Time, "about 10 min 0 s");
});

test("a method shows what the guide says, beside what was measured", () => {
  const guide = { difficulty: "easy", subject: "good", style: "very good", memory: "8 GB or more" };
  const subject = { learned: 0.96, bleeding: 0.025, steps: 450, seconds: 102, file: "2.5 MB" };
  assert.deepEqual(rowsOf({ guide, measured: { subject } }), [
    ["Difficulty", "easy", "–"],
    ["Subjects", "good", "96 %, bleeds 2.5 %"],
    ["Styles", "very good", "–"],
    ["Time, file", "–", "102 s, 2.5 MB"],
  ]);
  const none = rowsOf({ guide: null, measured: { known: { ...subject, learned: 1, bleeding: 0 } } });
  assert.deepEqual(none, [["Known subjects", "–", "100 %, bleeds 0 %"]], "rows without anything are left out");
});

test("each method is compared with the free memory", () => {
  assert.deepEqual(fitText({ needed_mb: 4096, fits: true }), { text: "4.0 GB: fits", level: "good" });
  assert.deepEqual(fitText({ needed_mb: 4096, fits: null }), { text: "4.0 GB: is close", level: "warn" });
  assert.deepEqual(fitText({ needed_mb: 4096, fits: false }), { text: "4.0 GB: doesn't fit", level: "bad" });
  assert.equal(fitText(undefined).text, "–");
});
