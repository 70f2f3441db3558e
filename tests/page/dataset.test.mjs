import assert from "node:assert/strict";
import { test } from "node:test";
import { drawingAdvice, instanceRange, regularizationRange } from "../../sdft_ext/ui/page/dataset/recommended.mjs";
import { classPrompt, limitText, promptLines, suggestedValues } from "../../sdft_ext/ui/page/dataset/regularization_settings.mjs";
import { settingRemedy, smallestBucket } from "../../sdft_ext/ui/page/dataset/remedies.mjs";
import { isOver, progressOf, subjectOf, summaryOf } from "../../sdft_ext/ui/page/dataset/report_text.mjs";
import { placedInSquare } from "../../sdft_ext/ui/page/dataset/tiles.mjs";
import { destinationText, newFolderName, resultText, uploadFolder, uploadProgress } from "../../sdft_ext/ui/page/dataset/upload_text.mjs";

const reading = (values) => (path) => values[path];

test("the schema's recommended numbers of pictures are shown", () => {
  const recommended = { instance: { subject: [5, 20], style: [50, 200] }, regularization: [20, 100] };
  assert.deepEqual(instanceRange(recommended, "style"), { low: 50, high: 200, text: "50–200 recommended" });
  assert.equal(instanceRange(recommended, "subject").low, 5);
  assert.equal(instanceRange({ ...recommended, instance: { subject: [7, 9] } }, "subject").text, "7–9 recommended");
  assert.deepEqual(regularizationRange(recommended, 12), { low: 240, high: 1200, text: "240–1,200 recommended: 20–100 for each of 12" });
  assert.equal(regularizationRange(recommended, 0).text, "20–100 for each instance picture recommended");
  assert.equal(drawingAdvice(recommended, 12, 0), "The guide recommends 20–100 for each of your 12 pictures: 240–1,200. You have none yet.");
  assert.match(drawingAdvice(recommended, 1, 30), /each of your 1 picture: 20–100\. You have 30\.$/);
  assert.equal(drawingAdvice(recommended, 0, 30), "The guide recommends 20–100 for each picture of the concept.");
});

test("a part of a picture is framed where the square shows it", () => {
  assert.deepEqual(placedInSquare(400, 400, [0.25, 0.5, 0.75, 1]), { left: 25, top: 50, wide: 50, high: 50 });
  assert.deepEqual(placedInSquare(400, 200, [0, 0, 1, 0.5]), { left: 0, top: 25, wide: 100, high: 25 });
  assert.deepEqual(placedInSquare(100, 400, [0.5, 0.5, 1, 1]), { left: 50, top: 50, wide: 12.5, high: 50 });
});

test("the class prompt has its article; a style's stays as it is", () => {
  assert.equal(classPrompt("dog", "subject"), "a dog");
  assert.equal(classPrompt("Owl", "subject"), "an Owl");
  assert.equal(classPrompt("", "subject"), "");
  assert.equal(classPrompt("watercolor", "style"), "watercolor");
});

test("what regularization pictures are drawn with begins with the recipe's values, sides in eights", () => {
  const values = { "c.class_word": "dog", "c.kind": "subject", "dataset.resolution": 515, "watch.sampler_steps": 25, "watch.guidance": 7.5 };
  const draft = { get: reading(values), text: (path) => String(values[path] ?? "") };
  const found = suggestedValues(draft, "c");
  assert.deepEqual(
    [found.prompts, found.folder, found.steps, found.guidance, found.width, found.height, found.negative],
    ["a dog", "", "25", "7.5", "512", "512", ""],
  );
  assert.equal(suggestedValues({ ...draft, get: reading({ "dataset.resolution": 8 }) }, "c").width, "64");
});

test("class prompts are lines, and limits are said", () => {
  assert.deepEqual(promptLines(" a dog \n\n a cat"), ["a dog", "a cat"]);
  assert.equal(limitText("Pictures", "count"), "Pictures: enter a number from 1 to 100,000.");
  assert.equal(limitText("Width", "width"), "Width: enter a number from 64 to 2,048 that is a multiple of 8.");
});

test("a remedy is a setting's value, unless it has that value already", () => {
  const report = { buckets: [{ showings: 6.5 }, { showings: 0 }, { showings: 20 }] };
  const remedy = (kind, values = {}) => settingRemedy({ kind }, report, reading(values));
  assert.deepEqual([remedy("enlarged").path, remedy("enlarged").value], ["dataset.no_upscale", true]);
  assert.equal(remedy("enlarged", { "dataset.no_upscale": true }), null);
  assert.equal(remedy("cache_memory").value, "disk");
  assert.equal(remedy("trigger_missing").value, "[name], [filewords]");
  assert.equal(remedy("trigger_missing", { "dataset.template": "[filewords]" }), null, "the user's own template stays");
  assert.equal(remedy("blurred"), null);
  assert.equal(smallestBucket(report), 6);
  assert.deepEqual([remedy("small_buckets", { "train.batch_size": 8 }).value, remedy("small_buckets", { "train.batch_size": 6 })], [6, null]);
  assert.equal(smallestBucket({ buckets: [{ showings: 0.5 }] }), 1);
});

test("a report says how far it is", () => {
  assert.deepEqual(progressOf({ state: "inspecting", done: 1500, total: 5000 }), { share: 0.3, text: "Inspecting the pictures: 1,500 of 5,000" });
  assert.equal(progressOf({ state: "inspecting", done: 0, total: 0 }).share, null);
  assert.equal(progressOf({ state: "comparing", done: 5, total: 5 }).text, "Comparing the pictures …");
  assert.deepEqual(["waiting", "reading", "finished", "cancelled", "failed"].filter(isOver), ["finished", "cancelled", "failed"]);
});

test("a report is about the dataset and the batch, not about other settings", () => {
  const recipe = { dataset: { concepts: [{ instance: "/a" }] }, train: { batch_size: 2, learning_rate: 1 } };
  const changed = (train, dataset = recipe.dataset) => subjectOf(recipe) !== subjectOf({ dataset, train: { ...recipe.train, ...train } });
  assert.ok(!changed({ learning_rate: 2 }));
  assert.ok(changed({ batch_size: 4 }) && changed({ accumulation: 2 }) && changed({}, { concepts: [{ instance: "/b" }] }));
});

test("a report is summed up over its concepts", () => {
  const concepts = [{ instance_pictures: 12, regularization_pictures: 240 }, { instance_pictures: 3, regularization_pictures: 0 }];
  assert.equal(
    summaryOf({ concepts, figures: { sizes: 1 }, showings_per_epoch: 1024, steps_per_epoch: 256 }),
    "15 instance pictures of 1 size, 240 regularization pictures. An epoch shows 1,024 pictures in 256 steps.",
  );
});

test("what was sent is said in one sentence", () => {
  const done = { pictures: 1, captions: 0, same: 0, renamed: 0, folder: "/cats" };
  assert.equal(resultText(done), "1 picture added to /cats.");
  assert.match(resultText({ ...done, same: 2, renamed: 1 }), /; 2 files were there already; a number was added to one name that another picture has\.$/);
  assert.match(resultText({ ...done, pictures: 0, captions: 2, renamed: 3 }), /^2 captions added to .*; a number was added to 3 names that other pictures have\.$/);
  assert.equal(resultText({ ...done, captions: 1 }), "1 picture and 1 caption added to /cats.");
  assert.deepEqual(uploadProgress({ sent: 2 ** 20, total: 2 ** 21, file: 1, files: 2, name: "a.png" }), { share: 0.5, text: "1 of 2 · 1 MB of 2 MB · a.png" });
  assert.equal(uploadProgress({ sent: 5, total: 5, file: 2, files: 2, name: "" }).text, "Checking what has arrived …");
  assert.equal(uploadProgress({ sent: 0, total: 0, file: 1, files: 1, name: "" }).share, 1);
  assert.match(destinationText("/cats"), /^They go into \/cats\./);
  const draft = { text: (path) => ({ a: "/mine", b: "/example/star" })[path] ?? "" };
  const schema = { examples: { subject: { settings: { "dataset.concepts.0.instance": "/example/star", "save.name": "/mine" } } } };
  assert.deepEqual(["a", "b", "c"].map((path) => uploadFolder({ draft, schema }, path)), ["/mine", "", ""], "the example stays as it is");
  assert.equal(newFolderName("my cats", "instance"), "my cats");
  assert.equal(newFolderName("", "regularization"), "pictures regularization");
});
