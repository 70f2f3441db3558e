// The tools' logic: which files a field accepts, which names are free, when a tool has ended.

import assert from "node:assert/strict";
import { test } from "node:test";

import { acceptedFiles, baseName, freeName, stem, takesFile } from "../../sdft_ext/ui/page/tools/files.mjs";
import { hasEnded, progressText } from "../../sdft_ext/ui/page/tools/job.mjs";

const file = (path, kind = "other") => ({ path, kind, name: baseName(path), group: "", bytes: 1 });

test("a field accepts the files of its kind", () => {
  const files = [file("/a.safetensors", "checkpoint"), file("/b.CKPT", "checkpoint"), file("/c.safetensors", "lora"), file("/d.pt")];
  const paths = (kind) => acceptedFiles(files, kind).map(({ path }) => path);
  assert.deepEqual(paths("checkpoint"), ["/a.safetensors", "/b.CKPT"]);
  assert.deepEqual(paths("loras"), ["/c.safetensors"]);
  assert.deepEqual(paths("any"), ["/a.safetensors", "/c.safetensors"]);
  assert.deepEqual(paths("pickle"), ["/b.CKPT", "/d.pt"]);
  assert.deepEqual(["lora", "rank"].map(takesFile), [true, false]);
});

test("paths of both kinds of systems have a name and a stem", () => {
  assert.equal(baseName("C:\\models\\my dog.v2.safetensors"), "my dog.v2.safetensors");
  assert.equal(stem("/models/my dog.v2.safetensors"), "my dog.v2");
});

test("a suggested name is none of a file in the folder, nor of a run with saves there", () => {
  const files = [file("/made/Dog-merged.safetensors"), file("/made/sub/dog-merged-2-000400.safetensors"), file("/elsewhere/cat-merged.safetensors")];
  assert.equal(freeName("dog-merged", files, "/made"), "dog-merged-3");
  assert.equal(freeName("cat-merged", files, "/made"), "cat-merged");
});

test("a tool has ended where it was seen working, or another one has ended meanwhile", () => {
  const job = (state, began = 1) => ({ state, began });
  assert.equal(hasEnded(job("finished"), null), false, "it ended before the page was opened");
  assert.equal(hasEnded(job("working"), job("working")), false);
  assert.equal(hasEnded(job("finished"), job("working")), true);
  assert.equal(hasEnded(job("finished"), job("finished")), false);
  assert.equal(hasEnded(job("failed", 2), job("finished", 1)), true);
  assert.equal(hasEnded(job("idle", 0), job("finished", 1)), false);
});

test("a tool's progress is in parts, with the time left from a second on", () => {
  assert.equal(progressText({ done: 1000, total: 2000, seconds_left: 61 }), "1,000 of 2,000 parts · 1 min 1 s left");
  assert.equal(progressText({ done: 0, total: 0, seconds_left: 0 }), "Reading the files");
});
