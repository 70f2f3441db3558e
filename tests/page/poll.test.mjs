import assert from "node:assert/strict";
import { test } from "node:test";
import { Poll } from "../../sdft_ext/ui/page/shared/poll.mjs";
import { page, settled } from "./browser.mjs";

/** A poll every second, under clocks that the test turns; `answers` are what its requests give, the last one for ever. */
function polling(test, answers = [() => null]) {
  const { document, window } = page(test);
  test.mock.timers.enable({ apis: ["setTimeout"] });
  const seen = { asked: 0, trouble: [], visible: true, over: false };
  const poll = new Poll({
    ask: () => answers[Math.min(seen.asked++, answers.length - 1)](),
    every: 1000,
    visible: () => seen.visible,
    trouble: (error) => seen.trouble.push(error?.message ?? null),
    over: () => seen.over,
  });
  const wait = async (ms) => {
    test.mock.timers.tick(ms);
    await settled();
  };
  return { poll, seen, wait, document, window };
}

const lost = () => Promise.reject(new Error("lost"));

test("it asks at once, then at its interval", async (t) => {
  const { poll, seen, wait } = polling(t);
  poll.start();
  await wait(0);
  assert.equal(seen.asked, 1);
  await wait(999);
  assert.equal(seen.asked, 1);
  await wait(1);
  assert.equal(seen.asked, 2);
  poll.every = 5000;
  await wait(1000);
  assert.equal(seen.asked, 3);
  await wait(4999);
  assert.equal(seen.asked, 3, "the interval can be changed");
});

test("while the connection is lost, it asks less and less often, at least twice a minute, and never gives up", async (t) => {
  const { poll, seen, wait } = polling(t, [lost]);
  poll.start();
  await wait(0);
  for (const pause of [2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]) {
    const before = seen.asked;
    await wait(pause - 1);
    assert.equal(seen.asked, before, `not before ${pause} ms`);
    await wait(1);
    assert.equal(seen.asked, before + 1, `after ${pause} ms`);
  }
  assert.deepEqual(seen.trouble, Array(8).fill("lost"));
});

test("a connection that is back is reported once, and the usual interval returns", async (t) => {
  const { poll, seen, wait } = polling(t, [lost, lost, () => null, () => null, lost]);
  poll.start();
  await wait(0);
  await wait(2000);
  await wait(4000);
  assert.deepEqual(seen.trouble, ["lost", "lost", null]);
  await wait(1000);
  assert.deepEqual(seen.trouble, ["lost", "lost", null], "a second success says nothing");
  await wait(1000);
  assert.equal(seen.asked, 5);
  await wait(1999);
  assert.equal(seen.asked, 5);
  await wait(1);
  assert.equal(seen.asked, 6, "the next failure waits two seconds again, as the first one did");
});

test("it rests while nobody can see it, and asks at once when somebody does", async (t) => {
  const { poll, seen, wait, document, window } = polling(t);
  document.hidden = true;
  poll.start();
  await wait(10_000);
  assert.equal(seen.asked, 0, "the browser's tab is in the background");
  document.hidden = false;
  document.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(seen.asked, 1);
  seen.visible = false;
  await wait(10_000);
  assert.equal(seen.asked, 1, "another panel is open");
  seen.visible = true;
  window.dispatchEvent(new Event("online"));
  await settled();
  assert.equal(seen.asked, 2);
});

test("two requests are never under way at once", async (t) => {
  let answer;
  const { poll, seen, wait } = polling(t, [() => new Promise((done) => (answer = done))]);
  poll.start();
  poll.now();
  poll.now();
  await wait(60_000);
  assert.equal(seen.asked, 1);
  answer();
  await settled();
  await wait(1000);
  assert.equal(seen.asked, 2);
});

test("it ends when another page has taken over", async (t) => {
  const { poll, seen, wait } = polling(t);
  poll.start();
  await wait(0);
  seen.over = true;
  await wait(60_000);
  poll.now();
  await settled();
  assert.equal(seen.asked, 1);
});
