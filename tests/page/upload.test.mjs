import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../sdft_ext/ui/page/shared/api.mjs";
import { dropped, picked, upload } from "../../sdft_ext/ui/page/shared/upload.mjs";
import { provide, settled } from "./browser.mjs";

/** A server that takes files: `answers` are [status, body] in turn, or what a request does instead. */
function server(t, answers = []) {
  const seen = { posts: [], files: [], progress: [] };

  class Request extends EventTarget {
    upload = new EventTarget();
    headers = {};

    open(method, url) {
      Object.assign(this, { method, url });
    }

    setRequestHeader(name, value) {
      this.headers[name] = value;
    }

    async send(blob) {
      seen.files.push(this);
      const answer = answers.shift() ?? [200, "{}"];
      await settled();
      if (this.ended) return;
      this.upload.dispatchEvent(Object.assign(new Event("progress"), { loaded: blob.size / 2 }));
      if (answer === "hang") return;
      if (answer === "lost") return this.end("error");
      this.upload.dispatchEvent(new Event("load"));
      if (answer === "unpack") return;
      [this.status, this.responseText] = answer;
      this.end("load");
    }

    abort() {
      this.end("abort");
    }

    end(how) {
      this.ended = true;
      this.dispatchEvent(new Event(how));
      this.dispatchEvent(new Event("loadend"));
    }
  }
  provide(t, { XMLHttpRequest: Request });
  const api = {
    token: "secret",
    url: (path, parameters) => `${path}?${new URLSearchParams(parameters)}`,
    post: async (path, body) => {
      seen.posts.push([path, body]);
      return path.endsWith("finish") ? { folder: "/new", pictures: 2, refused: ["from the zip"] } : { id: "up 1" };
    },
  };
  const files = [
    { name: "a.png", blob: new Blob(["1234"]) },
    { name: "sub/b.png", blob: new Blob(["12345678"]) },
  ];
  const send = (more = {}) => upload({ api }, { folder: "", name: "dogs", files, progress: (one) => seen.progress.push(one), ...more });
  return { seen, send };
}

test("all files arrive, with progress over all of them, then the upload is finished", async (t) => {
  const { seen, send } = server(t);
  const done = await send();
  assert.deepEqual(done, { folder: "/new", pictures: 2, refused: ["from the zip"] });
  assert.deepEqual(seen.posts.map(([path]) => path), ["datasets/uploads", "datasets/uploads/up%201/finish"]);
  assert.deepEqual(seen.posts[0][1], { folder: "", name: "dogs" });
  assert.deepEqual(seen.files.map((one) => one.url), ["datasets/uploads/up%201/files?name=a.png", "datasets/uploads/up%201/files?name=sub%2Fb.png"]);
  assert.ok(seen.files.every((one) => one.method === "POST" && one.headers["X-SDFT-Token"] === "secret" && one.headers["Content-Type"] === "application/octet-stream"));
  assert.deepEqual(seen.progress.map(({ sent, total, file }) => [sent, total, file]), [[0, 12, 1], [2, 12, 1], [4, 12, 2], [8, 12, 2], [12, 12, 2]]);
});

test("a refused file doesn't stop the others, and is reported", async (t) => {
  const { seen, send } = server(t, [[400, '{"detail": "a.png is no picture."}']]);
  const done = await send();
  assert.deepEqual(done.refused, ["a.png is no picture.", "from the zip"]);
  assert.equal(seen.files.length, 2);
});

for (const [name, answer, status, sentence] of [
  ["a server that fails", [500, '{"detail": "The disk is full."}'], 500, /^The disk is full\.$/],
  ["a proxy that allows only small files", [413, "<html>"], 413, /size/],
  ["a server that says nothing", [502, ""], 502, /502/],
  ["a lost connection", "lost", 0, /Nothing was added/],
]) {
  test(`${name} ends the upload, and what has arrived is thrown away`, async (t) => {
    const { seen, send } = server(t, [[200, "{}"], answer]);
    await assert.rejects(send(), (error) => error instanceof ApiError && error.status === status && sentence.test(error.message));
    assert.deepEqual(seen.posts.map(([path]) => path), ["datasets/uploads", "datasets/uploads/up%201/cancel"]);
  });
}

test("an upload that doesn't move for two minutes ends", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { send } = server(t, ["hang"]);
  let ended = null;
  send().catch((error) => (ended = error));
  await settled();
  await settled();
  t.mock.timers.tick(119_000);
  await settled();
  assert.equal(ended, null);
  t.mock.timers.tick(1000);
  await settled();
  assert.equal(ended.status, 0);
  assert.match(ended.message, /Nothing was added/);
});

test("a large archive may take longer to unpack", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { seen, send } = server(t, ["unpack"]);
  const sent = send();
  await settled();
  await settled();
  t.mock.timers.tick(1_000_000);
  Object.assign(seen.files[0], { status: 200 }).end("load");
  assert.equal((await sent).pictures, 2);
});

test("the user's own cancelling is no error of the server", async (t) => {
  const { seen, send } = server(t, ["hang"]);
  const asked = new AbortController();
  const sent = send({ signal: asked.signal });
  await settled();
  asked.abort();
  await assert.rejects(sent, { name: "AbortError" });
  assert.ok(seen.posts.at(-1)[0].endsWith("/cancel"));
  await assert.rejects(send({ signal: asked.signal }), { name: "AbortError" }, "a cancelled one sends no file");
  assert.equal(seen.files.length, 1);
});

const file = (name) => ({ isFile: true, name, file: (good) => good({ name }) });
const folder = (name, children) => ({
  isFile: false,
  name,
  // Browsers hand out a folder's entries by the hundred.
  createReader: () => ({ readEntries: (good) => good(children.splice(0, 100)) }),
});

test("a dropped folder brings all of its files, under their folders' names", async () => {
  const many = Array.from({ length: 250 }, (_, i) => file(`${i}.png`));
  const items = [folder("dogs", [folder("small", many), file("a.png")]), file("b.png")].map((entry) => ({ webkitGetAsEntry: () => entry }));
  const names = (await dropped({ items, files: [] })).map(({ name }) => name);
  assert.equal(names.length, 252);
  assert.equal(new Set(names).size, 252);
  assert.deepEqual(["dogs/small/249.png", "dogs/a.png", "b.png"].map((name) => names.includes(name)), [true, true, true]);
});

test("a drop without entries, and a file dialog, give files too", async () => {
  const blob = { name: "a.png" };
  assert.deepEqual(await dropped({ items: [{}, { webkitGetAsEntry: () => null }], files: [blob] }), [{ name: "a.png", blob }]);
  const inFolder = { name: "a.png", webkitRelativePath: "dogs/a.png" };
  assert.deepEqual(picked({ files: [blob, inFolder] }).map(({ name }) => name), ["a.png", "dogs/a.png"]);
  assert.deepEqual(picked({ files: null }), []);
});
