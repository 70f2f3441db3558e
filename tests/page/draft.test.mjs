import assert from "node:assert/strict";
import { test } from "node:test";
import { Draft } from "../../sdft_ext/ui/page/shared/draft.mjs";
import { applyOwn } from "../../sdft_ext/ui/page/train/own_preset.mjs";
import { MemoryStorage, provide } from "./browser.mjs";

const FIRST = "dataset.concepts.0.";
const field = (path, value) => ({ path, label: path, default: value });
const preset = (kind, method, settings) => ({ settings: { [`${FIRST}kind`]: kind, "method.name": method, ...settings } });

/** A recipe of eight settings; the loaded model has other defaults for two of them. */
const SCHEMA = {
  sections: [
    { fields: [field("train.learning_rate", 0.001), field("train.length", 100), field("train.batch_size", 1), field("watch.prompts", ["a"])] },
    { fields: [field("method.name", "lora")] },
    { fields: [field(`${FIRST}kind`, "subject"), field(`${FIRST}trigger`, "sks"), field(`${FIRST}instance`, "")] },
  ],
  defaults: {
    train: { learning_rate: 0.002, length: 100, batch_size: 4 },
    watch: { prompts: ["a"] },
    method: { name: "lora" },
    dataset: { concepts: [{ kind: "subject", trigger: "sks", instance: "" }] },
  },
  presets: [
    preset("subject", "lora", { "train.learning_rate": 0.003 }),
    preset("subject", "full", { "train.learning_rate": 1e-5 }),
    preset("style", "lora", { "train.learning_rate": 0.004, "not.there": 1 }),
  ],
  thorough: [
    { name: "quick", settings: { "train.length": 10 } },
    { name: "normal", settings: { "train.length": 450 } },
  ],
};

function draft(t, localStorage = new MemoryStorage()) {
  provide(t, { localStorage });
  const made = new Draft(SCHEMA);
  const heard = [];
  made.listen((paths) => heard.push(paths));
  return { made, heard, localStorage };
}

test("a new draft has the preset's settings and the normal length", (t) => {
  const { made } = draft(t);
  assert.equal(made.get("train.learning_rate"), 0.003);
  assert.equal(made.get("train.length"), 450);
  assert.deepEqual(made.changes, [], "none of it was changed by the user");
  assert.deepEqual(made.nested(), {
    dataset: { concepts: [{}] },
    train: { learning_rate: 0.003, length: 450, batch_size: 4 },
  });
});

test("another method brings its own start, and what the user has set stays", (t) => {
  const { made, heard } = draft(t);
  made.set("train.length", 7);
  made.set("method.name", "full");
  assert.equal(made.get("train.learning_rate"), 1e-5);
  assert.equal(made.get("train.length"), 7);
  assert.ok(heard.at(-1).includes("train.learning_rate"), "its control is updated");
  made.set(`${FIRST}kind`, "style");
  assert.equal(made.get("train.learning_rate"), 0.004, "no preset for this method: the kind's first one");
  assert.deepEqual(Object.keys(made.nested()).sort(), ["dataset", "method", "train"], "a preset's setting that this page doesn't know is ignored");
  made.reset("method.name");
  assert.deepEqual(made.changes.sort(), [`${FIRST}kind`, "train.length"].sort());
});

test("a setting that is set to its start isn't changed", (t) => {
  const { made } = draft(t);
  made.set("train.learning_rate", 1);
  assert.ok(made.changed("train.learning_rate"));
  made.set("train.learning_rate", 0.003);
  assert.ok(!made.changed("train.learning_rate"));
  made.set("watch.prompts", ["b"]);
  made.set("watch.prompts", ["a"]);
  assert.ok(!made.changed("watch.prompts"), "lists are compared by what is in them");
});

test("a list that its control goes on changing doesn't change the draft behind its back", (t) => {
  const { made } = draft(t);
  const prompts = ["b"];
  made.set("watch.prompts", prompts);
  prompts.push("c");
  assert.deepEqual(made.get("watch.prompts"), ["b"]);
});

test("unknown settings are ignored, several are heard of once", (t) => {
  const { made, heard } = draft(t);
  made.setAll({ "train.length": 1, "no.such": 2, "watch.prompts": [] });
  assert.deepEqual(heard, [["train.length", "watch.prompts"]]);
  assert.deepEqual(made.get("no.such"), undefined);
  assert.equal(made.nested().no, undefined);
});

test("what can't be read is marked until it can", (t) => {
  const { made, heard } = draft(t);
  made.mark("train.length", "Write a whole number.");
  assert.equal(made.invalid.get("train.length"), "Write a whole number.");
  made.set("train.length", 3);
  assert.equal(made.invalid.size, 0);
  made.mark("train.length", "Write a whole number.");
  made.reset("train.length");
  assert.equal(made.invalid.size, 0);
  assert.equal(heard.length, 4);
});

test("further concepts begin with the program's defaults; the first one's preset isn't theirs", (t) => {
  const { made } = draft(t);
  made.set(`${FIRST}trigger`, "one");
  made.addConcept();
  made.set("dataset.concepts.1.trigger", "two");
  made.set("dataset.concepts.2.trigger", "three");
  assert.equal(made.concepts, 3, "naming a further concept adds it");
  assert.equal(made.get("dataset.concepts.2.kind"), "subject");
  assert.deepEqual(made.nested().dataset.concepts, [{ trigger: "one" }, { trigger: "two" }, { trigger: "three" }]);
});

test("a concept that is removed leaves its number to the next one", (t) => {
  const { made, heard } = draft(t);
  for (const [number, name] of ["one", "two", "three"].entries()) made.set(`dataset.concepts.${number}.trigger`, name);
  made.set("train.length", 9);
  made.removeConcept(1);
  assert.deepEqual(made.nested().dataset.concepts, [{ trigger: "one" }, { trigger: "three" }]);
  assert.equal(made.get("train.length"), 9);
  assert.equal(heard.at(-1), null, "every control looks again");
  made.removeConcept(0);
  made.removeConcept(0);
  assert.deepEqual(made.nested().dataset.concepts, [{}], "one concept is always left");
});

test("a run's recipe is taken over as it is: what it leaves out has the program's default, not the preset's", (t) => {
  const { made } = draft(t);
  made.set("train.length", 9);
  const recipe = { method: { name: "full" }, dataset: { concepts: [{ trigger: "a" }, { instance: "/b" }] }, train: { length: 5 } };
  made.load(recipe);
  assert.deepEqual(made.nested(), recipe);
  assert.equal(made.get("train.learning_rate"), 0.001);
  assert.equal(made.concepts, 2);
});

test("the draft survives a reload", (t) => {
  const { made, localStorage } = draft(t);
  made.set("train.length", 9);
  made.set("dataset.concepts.1.trigger", "two");
  const { made: again } = draft(t, localStorage);
  assert.deepEqual(again.nested(), made.nested());
  again.clear();
  const { made: cleared } = draft(t, localStorage);
  assert.deepEqual(cleared.changes, []);
  assert.equal(cleared.concepts, 1);
});

test("what can't be read of an earlier page is left out", (t) => {
  for (const kept of ["{", '"text"', '{"values": 3}', '{"concepts": "many", "values": [["no.such", 1], ["train.length", 9]]}']) {
    const localStorage = new MemoryStorage();
    localStorage.setItem("sdft.recipe.1", kept);
    const { made } = draft(t, localStorage);
    assert.equal(made.concepts, 1, kept);
    assert.deepEqual(made.changes, kept.includes("length") ? ["train.length"] : [], kept);
  }
});

test("a browser that keeps nothing loses nothing but the reload", (t) => {
  const localStorage = new MemoryStorage();
  localStorage.refuse = true;
  const { made, heard } = draft(t, localStorage);
  made.set("train.length", 9);
  assert.equal(made.get("train.length"), 9);
  assert.equal(heard.length, 1);
});

test("who stops listening hears no more", (t) => {
  const { made } = draft(t);
  let heard = 0;
  const end = made.listen(() => (heard += 1));
  made.set("train.length", 1);
  end();
  made.set("train.length", 2);
  assert.equal(heard, 1);
});

test("a preset of the user brings its own start, and leaves pictures and words", (t) => {
  const { made } = draft(t);
  made.set(`${FIRST}instance`, "/cats");
  made.set("train.batch_size", 9);
  // 0.003 is where a LoRA of a subject starts, but not a full fine-tune.
  applyOwn(made, { "train.learning_rate": 0.003, "train.batch_size": 4, "method.name": "full", [`${FIRST}kind`]: "subject" });
  assert.deepEqual([made.get("method.name"), made.get("train.learning_rate"), made.get("train.batch_size")], ["full", 0.003, 4]);
  assert.equal(made.get(`${FIRST}instance`), "/cats");
  assert.equal(made.nested().train.learning_rate, 0.003);
});
