// The Monitor's logic: the chart's numbers, the queue's order, what is said of a run, what can be done with it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ChartData, valueAt, zoomed } from "../../sdft_ext/ui/page/monitor/chart_data.mjs";
import { placeAfterKey, spanWith } from "../../sdft_ext/ui/page/monitor/chart_keys.mjs";
import { moved, otherModel, queueItems } from "../../sdft_ext/ui/page/monitor/queue_order.mjs";
import { runActions } from "../../sdft_ext/ui/page/monitor/run_actions.mjs";
import { currentRun, markedTitle, progressOf } from "../../sdft_ext/ui/page/shared/running.mjs";
import { iconOf } from "../../sdft_ext/ui/page/shared/tab_icon.mjs";
import { boardCommand, eventText, loadText, progressText } from "../../sdft_ext/ui/page/monitor/run_text.mjs";

test("the chart joins the numbers of a step from several lines of the log", () => {
  const data = new ChartData();
  data.add([{ step: 2, loss: 0.2, smoothed: 0.3 }, { step: 1, loss: "NaN" }, { step: 3, event: "save" }]);
  data.add([{ step: 2, "validation/held_out": 0.25 }, { step: 4, event: "controls" }]);
  assert.deepEqual(data.columns(), [[1, 2], [null, 0.2], [null, 0.3], [null, 0.25], [null, null]]);
  assert.deepEqual([data.points, data.saves, data.controls], [2, [3], [4]]);
});

test("the chart's height leaves out a few wild steps, lines that are off, and steps out of sight", () => {
  const data = new ChartData();
  data.add(Array.from({ length: 1000 }, (_, step) => ({ step, loss: step === 500 ? 1e9 : 1, smoothed: 3 })));
  assert.deepEqual(data.valueRange(new Set(["smoothed"]), null, false), [0, 1.1]);
  assert.deepEqual(data.valueRange(new Set(), null, true), [1, 3.5999999999999996]);
  assert.deepEqual(data.valueRange(new Set(), { min: 5000, max: 6000 }, false), data.valueRange(new Set(), null, false), "nothing in sight: as if all were");
  assert.deepEqual(new ChartData().valueRange(new Set(), null, false), [0, 1]);
});

test("a logarithmic scale begins above zero", () => {
  const data = new ChartData();
  data.add([{ step: 1, loss: 0 }, { step: 2, loss: 0.5 }]);
  assert.equal(data.valueRange(new Set(), null, true)[0], 0.5);
  assert.equal(data.valueRange(new Set(), null, false)[0], 0);
});

test("arrow keys go through the steps of the chart, with Shift by ten, and stop at the ends", () => {
  const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"];
  assert.deepEqual(keys.map((key) => placeAfterKey(key, 20, 25, false)), [19, 21, 21, 19, 24, 10, 0, 24]);
  assert.deepEqual(keys.map((key) => placeAfterKey(key, 12, 25, true)), [2, 22, 22, 2, 22, 2, 0, 24]);
  assert.deepEqual([placeAfterKey("ArrowLeft", 0, 25, false), placeAfterKey("Tab", 3, 25, false), placeAfterKey("End", 0, 0, false)], [0, null, null]);
});

test("a zoomed chart moves along with the step that the keyboard leads to", () => {
  const span = { min: 10, max: 20 };
  assert.deepEqual([spanWith(span, 8), spanWith(span, 15), spanWith(span, 23)], [{ min: 8, max: 18 }, span, { min: 13, max: 23 }]);
});

test("zooming keeps the step under the pointer where it is, inside the run", () => {
  const all = { min: 0, max: 100 };
  assert.deepEqual(zoomed(all, 25, 0.5, all), { min: 12.5, max: 62.5 });
  assert.deepEqual(zoomed({ min: 10, max: 90 }, 50, 10, all), all);
  assert.equal(zoomed({ min: 10, max: 12 }, 11, 0.5, all), null);
});

test("without a pointer the legend shows a line's last number", () => {
  assert.equal(valueAt([1, 2, null], null), 2);
  assert.equal(valueAt([1, 2, null], 2), null);
  assert.equal(valueAt([0, null], undefined), 0);
  assert.equal(valueAt([null], null), null);
});

test("a waiting run is moved to a place among the others", () => {
  assert.deepEqual(moved(["a", "b", "c"], "c", 0), ["c", "a", "b"]);
  assert.deepEqual(moved(["a", "b", "c"], "a", 1), ["b", "a", "c"]);
  assert.deepEqual(queueItems(["x", "regularization/dogs", "y"], [{ id: "x", name: "X", method: "LoRA" }, { id: "y", name: "Y", method: "" }], { "regularization/dogs": "Dogs" }), [
    { id: "x", name: "X", method: "LoRA", number: 0, last: false },
    { id: "regularization/dogs", name: "Dogs", method: "Regularization pictures", number: 1, last: false },
    { id: "y", name: "Y", method: "", number: 2, last: true },
  ]);
});

test("a run's progress is one line of what is known", () => {
  const status = { state: "training", step: 5, total: 20, seconds_left: 70 };
  assert.equal(progressText(status, { pictures_per_second: 1.234, memory_mb: 2048, smoothed: "0.12345" }), "Step 5 of 20 · 1 min 10 s left · 1.23 pictures/s · 2.0 GB · loss 0.123");
  assert.equal(progressText({ ...status, state: "preparing" }, {}), "Picture 5 of 20");
  assert.equal(progressText({ ...status, total: 0, seconds_left: 0 }, {}), "");
});

test("an event is said by its kind, else in its own words", () => {
  assert.equal(eventText({ step: 3, event: "save", file: "a.safetensors" }), "Step 3: Save a.safetensors");
  assert.equal(eventText({ step: 3, event: "warning", text: "The loss is NaN." }), "Step 3: The loss is NaN.");
  assert.equal(eventText({ step: 3, event: "try", file: "cat-try-000003.safetensors" }), "Step 3: Temporary save cat-try-000003.safetensors");
  assert.equal(eventText({ step: 3, event: "some_thing" }), "Step 3: some thing");
});

test("a run offers what makes sense in its state", () => {
  const names = (state, facts) => runActions({ state }, { txt2img: true, whole: false, saves: 2, ...facts }).map(({ name }) => name);
  assert.deepEqual(names("training"), ["pause", "save", "sample", "try", "stop"]);
  assert.deepEqual(names("paused", { whole: true }), ["resume", "save", "sample", "stop"]);
  assert.deepEqual(names("preparing", { whole: null }), ["pause", "save", "sample", "stop"]);
  assert.deepEqual(names("drawing"), ["stop"]);
  assert.deepEqual(names("waiting"), ["stop"]);
  assert.deepEqual(names("finished", { continues: true, report: true }), ["send", "continue", "report", "evaluate"]);
  assert.deepEqual(names("finished", { whole: null }), ["evaluate"], "what a save is isn't known yet");
  assert.deepEqual(names("stopped", { whole: true }), ["resume", "resume-with", "use", "evaluate"]);
  assert.deepEqual(names("failed", { txt2img: false, whole: true }), ["resume", "resume-with", "evaluate"]);
  assert.deepEqual(names("finished", { saves: 0, grid: true, report: false }), []);
  assert.deepEqual(names("stopped", { grid: true }), ["resume", "resume-with", "send", "grid", "evaluate"]);
});

test("a running training is named in the header and in the title", () => {
  const run = { id: "a", name: "cat", state: "training", step: 374, total: 1000, seconds_left: 61 };
  assert.deepEqual(progressOf(run), { short: "37 %", text: "cat · 37 % · 1 min 1 s left" });
  assert.deepEqual(progressOf({ ...run, state: "preparing" }), { short: "Preparing", text: "cat · Preparing" });
  assert.equal(currentRun({ runs: [run], queue: [], current: "a" }), run);
  assert.equal(currentRun({ runs: [{ ...run, state: "finished" }], queue: [], current: "a" }), undefined);
  assert.equal(currentRun({ runs: [run], queue: ["a"], current: null }), undefined);
  assert.equal(markedTitle("Stable Diffusion", "37 %"), "37 % · Stable Diffusion");
  assert.equal(markedTitle("37 % · Stable Diffusion", "Finished"), "Finished · Stable Diffusion");
  assert.equal(markedTitle("Finished · Stable Diffusion", ""), "Stable Diffusion");
});

test("TensorBoard's command has its folder in quotes where a shell needs them", () => {
  assert.equal(boardCommand("/runs/cat-2/tensorboard"), "tensorboard --logdir /runs/cat-2/tensorboard");
  assert.equal(boardCommand("/my runs/it's $x"), "tensorboard --logdir '/my runs/it'\\''s $x'");
  assert.equal(boardCommand("D:\\runs\\cat"), "tensorboard --logdir D:\\runs\\cat");
  assert.equal(boardCommand("D:\\my runs"), 'tensorboard --logdir "D:\\my runs"');
});

test("a GPU's load is one line", () => {
  assert.equal(loadText({ load: 97, temperature: 71, used_mb: 18432, total_mb: 24576 }), "GPU 97 % · 18.0 GB of 24.0 GB · 71 °C");
});

test("the tab's icon is a ring that fills, and is full when the run has ended", () => {
  const parts = (state, step, total = 100) => iconOf({ state, step, total }).parts;
  assert.equal(iconOf(undefined), null);
  assert.deepEqual([parts("training", 0), parts("training", 50), parts("drawing", 100), parts("training", 5, 0)], [0, 16, 32, 0]);
  assert.equal(parts("preparing", 50), 0, "these are pictures, not steps");
  const colours = ["training", "paused", "finished", "failed"].map((state) => iconOf({ state, step: 1, total: 2 }).colour);
  assert.equal(new Set(colours).size, 4);
  assert.equal(parts("failed", 1), 32);
});

test("the queue offers to load models where a run needs another one than is loaded", () => {
  const runs = [{ id: "a", base: "one.ckpt" }, { id: "b", base: "two.ckpt" }, { id: "c", base: "" }];
  const other = (current, queue, loaded) => otherModel({ runs, current, queue }, loaded)?.id;
  assert.equal(other("a", ["b", "c"], "one.ckpt"), "b");
  assert.equal(other("a", ["b"], "two.ckpt"), "a");
  assert.equal(other(null, ["a", "c", "regularization/x"], "one.ckpt"), undefined);
});
