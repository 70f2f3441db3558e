import assert from "node:assert/strict";
import { test } from "node:test";
import { jobPath, wholeModel } from "../../sdft_ext/ui/page/shared/run_widgets.mjs";
import { destination } from "../../sdft_ext/ui/page/shared/tabs.mjs";
import { Watchers } from "../../sdft_ext/ui/page/shared/watchers.mjs";

test("the arrows go round the tabs, Home and End to their ends", () => {
  assert.deepEqual(["ArrowRight", "ArrowLeft", "Home", "End"].map((key) => destination(key, 0, 8)), [1, 7, 0, 7]);
  assert.equal(destination("ArrowRight", 7, 8), 0);
  assert.equal(destination("Tab", 3, 8), null);
  assert.equal(destination("ArrowRight", -1, 8), null, "no tab has the focus");
});

test("watchers hear news until their element has left the page", () => {
  const watchers = new Watchers();
  const node = { isConnected: false };
  const heard = [];
  watchers.add(node, (news) => heard.push(news));
  watchers.notify("before it is in the page");
  node.isConnected = true;
  watchers.notify("in the page");
  node.isConnected = false;
  watchers.notify("gone");
  node.isConnected = true;
  watchers.notify("forgotten");
  assert.deepEqual(heard, ["before it is in the page", "in the page"]);
});

test("the server says which methods train the whole model; one saved as a LoRA is none", () => {
  const schema = { methods: [{ name: "lora", whole_model: false }, { name: "any", whole_model: true }] };
  const saved = (name, save_as) => wholeModel(schema, { name, full: { save_as } });
  assert.ok(saved("any", "checkpoint"));
  assert.ok(!saved("any", "lora") && !saved("lora", "checkpoint") && !saved("unknown", "checkpoint"));
});

test("a job's route keeps its prefix and encodes its name", () => {
  assert.equal(jobPath("my run"), "runs/my%20run");
  assert.equal(jobPath("regularization/a/b"), "regularization/a%2Fb");
});
