import assert from "node:assert/strict";
import { test } from "node:test";
import { Api, ApiError, part } from "../../sdft_ext/ui/page/shared/api.mjs";
import { provide } from "./browser.mjs";

/** An Api whose requests get these answers in turn; an answer may be an error that fetch raises. */
function answering(t, ...answers) {
  const sent = [];
  provide(t, {
    fetch: async (url, options) => {
      sent.push({ url, ...options });
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  const api = new Api();
  api.token = "secret";
  return { api, sent };
}

const json = (data, status = 200) => new Response(JSON.stringify(data), { status });
const text = (data, status) => new Response(data, { status });

test("routes lie beside the page, wherever that lies", () => {
  const api = new Api();
  const base = new URL("../../sdft_ext/ui/page/shared/../../v1/", import.meta.url).href;
  assert.equal(api.url("runs"), `${base}runs`);
  assert.equal(api.url("/runs", { a: "x y&z", b: 0, c: undefined }), `${base}runs?a=x+y%26z&b=0`);
});

test("no answer of the server leads to another place", () => {
  const api = new Api();
  for (const path of ["../../admin", "https://elsewhere.example/x", "javascript:alert(1)", "a/../../b", "\\\\elsewhere\\x"]) {
    assert.throws(() => api.url(path), ApiError, path);
  }
  assert.ok(api.url("//elsewhere.example/x").endsWith("/v1/elsewhere.example/x"));
  assert.ok(api.url(`runs/${part("../../x")}`).endsWith("/v1/runs/..%2F..%2Fx"));
});

test("requests carry the token, and bodies are JSON", async (t) => {
  const { api, sent } = answering(t, json({ a: 1 }), json({ b: 2 }));
  assert.deepEqual(await api.get("runs"), { a: 1 });
  assert.deepEqual(await api.post("queue", { ids: ["x"] }), { b: 2 });
  assert.equal(sent[0].headers["X-SDFT-Token"], "secret");
  assert.equal(sent[0].method ?? "GET", "GET");
  assert.equal(sent[1].method, "POST");
  assert.equal(sent[1].headers["X-SDFT-Token"], "secret");
  assert.equal(sent[1].headers["Content-Type"], "application/json");
  assert.equal(sent[1].body, '{"ids":["x"]}');
  assert.ok(sent.every((one) => one.credentials === "same-origin" && one.cache === "no-store"));
});

test("a refusal speaks with the server's sentence", async (t) => {
  const { api } = answering(t, json({ detail: "The folder is empty." }, 400), json({ message: "Later." }, 409));
  await assert.rejects(api.get("a"), { message: "The folder is empty.", status: 400 });
  await assert.rejects(api.get("a"), { message: "Later.", status: 409 });
});

test("an answer without a sentence gets one that says what to do", async (t) => {
  const answers = [text("<html>", 401), text("<html>", 403), json({ detail: [{ loc: ["body"] }] }, 404), text("", 502), json(null, 500)];
  const { api } = answering(t, ...answers);
  for (const [status, sentence] of [[401, /log in/], [403, /reload/], [404, /reload/], [502, /502.*console/], [500, /500.*console/]]) {
    await assert.rejects(api.get("a"), (error) => error instanceof ApiError && error.status === status && sentence.test(error.message));
  }
});

test("an answer that isn't JSON says so, whatever its status claims", async (t) => {
  const { api } = answering(t, text("<html>login</html>", 200));
  await assert.rejects(api.get("a"), (error) => error.status === 200 && /can't be read/.test(error.message));
});

test("a lost connection has status 0", async (t) => {
  const { api } = answering(t, new TypeError("Failed to fetch"));
  await assert.rejects(api.get("a"), (error) => error instanceof ApiError && error.status === 0 && /server/.test(error.message));
});

test("what the page itself ends is no error of the server", async (t) => {
  const ended = new DOMException("Aborted", "AbortError");
  const cut = Object.assign(new Response("{}"), { json: () => Promise.reject(ended) });
  const { api, sent } = answering(t, ended, cut);
  const { signal } = new AbortController();
  await assert.rejects(api.get("a", {}, signal), { name: "AbortError" });
  await assert.rejects(api.post("a", {}, signal), { name: "AbortError" }, "while the answer was read");
  assert.ok(sent.every((one) => one.signal === signal));
});
