import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../sdft_ext/ui/page/shared/api.mjs";
import { Autosend } from "../../sdft_ext/ui/page/captions/autosend.mjs";
import { provide, settled } from "./browser.mjs";

/** An Autosend under clocks that the test turns; `answers` are what the store's sending does in turn: nothing, or an error. */
function autosend(t, unsent, answers) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  provide(t, { window: globalThis });
  const kept = new Map(unsent);
  const seen = { sent: [], said: [] };
  const store = {
    unsent: { list: () => [...kept] },
    entry: (id) => ({ id, name: `${id}.png`, caption: "" }),
    send: async (id, text) => {
      seen.sent.push(text);
      const error = answers.shift();
      if (error) throw error;
      kept.delete(id);
    },
  };
  const app = { over: false };
  const made = new Autosend(app, store, { say: (text, kind) => seen.said.push([text, kind]), settled: () => null });
  const wait = async (ms) => {
    t.mock.timers.tick(ms);
    await settled();
  };
  return { made, seen, app, wait };
}

const lost = () => new ApiError("The server doesn't answer.", 0);
const failed = (status) => new ApiError("It failed.", status);

test("a text that arrives needs no words", async (t) => {
  const { made, seen, wait } = autosend(t, [[1, "a"]], []);
  assert.equal(await made.send(1, "a"), true);
  await wait(60_000);
  assert.deepEqual(seen, { sent: ["a"], said: [] });
});

for (const [name, error] of [["a lost connection", lost()], ["a server that fails", failed(502)]]) {
  test(`after ${name}, everything unsent is sent again until it arrives`, async (t) => {
    const { made, seen, wait } = autosend(t, [[1, "a"], [2, "b"]], [error, error]);
    assert.equal(await made.send(1, "a"), false);
    assert.equal(seen.said.length, 1);
    assert.match(seen.said[0][0], /kept/);
    assert.equal(seen.said[0][1], "bad");
    await wait(3999);
    assert.deepEqual(seen.sent, ["a"]);
    await wait(1);
    assert.deepEqual(seen.sent, ["a", "a"], "the first one that fails ends the attempt");
    await wait(4000);
    assert.deepEqual(seen.sent, ["a", "a", "a", "b"]);
    await wait(60_000);
    assert.equal(seen.sent.length, 4);
  });
}

test("two texts that can't be sent are sent again together", async (t) => {
  const { made, seen, wait } = autosend(t, [[1, "a"], [2, "b"]], [lost(), lost(), lost(), lost()]);
  await made.send(1, "a");
  await wait(2000);
  await made.send(2, "b");
  await wait(3999);
  assert.deepEqual(seen.sent, ["a", "b"]);
  await wait(1);
  assert.deepEqual(seen.sent, ["a", "b", "a"]);
});

test("a refusal is final: it isn't sent again", async (t) => {
  const { made, seen, wait } = autosend(t, [[1, "a"]], [failed(400)]);
  assert.equal(await made.send(1, "a"), false);
  assert.match(seen.said[0][0], /^It failed\..*kept/);
  await wait(60_000);
  assert.deepEqual(seen.sent, ["a"]);
});

test("a request that the page ended itself says nothing", async (t) => {
  const { made, seen, wait } = autosend(t, [[1, "a"]], [new DOMException("Aborted", "AbortError")]);
  assert.equal(await made.send(1, "a"), false);
  await wait(60_000);
  assert.deepEqual(seen, { sent: ["a"], said: [] });
});

test("in a pause of typing nobody is asked about a conflict", async (t) => {
  const { made, seen, wait } = autosend(t, [[1, "a"]], [failed(409)]);
  assert.equal(await made.send(1, "a", { quiet: true }), false);
  await wait(60_000);
  assert.deepEqual(seen, { sent: ["a"], said: [] });
});

test("saving sends everything first, and says whether all has arrived", async (t) => {
  const { made, seen } = autosend(t, [[1, "a"], [2, "b"], [3, "c"]], [null, lost()]);
  assert.equal(await made.sendAll(), false);
  assert.deepEqual(seen.sent, ["a", "b"]);
  assert.equal(await made.sendAll(), true);
  assert.deepEqual(seen.sent, ["a", "b", "b", "c"]);
});

test("another page that has taken over sends, not this one", async (t) => {
  const { made, seen, app, wait } = autosend(t, [[1, "a"]], [lost()]);
  await made.send(1, "a");
  app.over = true;
  await wait(60_000);
  assert.deepEqual(seen.sent, ["a"]);
});
