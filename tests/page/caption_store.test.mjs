import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../sdft_ext/ui/page/shared/api.mjs";
import { CaptionStore } from "../../sdft_ext/ui/page/captions/caption_store.mjs";
import { MemoryStorage, provide, settled } from "./browser.mjs";

const HISTORY = { undo: null, redo: null, unsaved: 0, conflicts: 0, autosave: false, writable: true };
const picture = (id, name, caption, more = {}) => ({ id, name, caption, revision: 1, tokens: 3, state: "saved", ...more });
const opening = (pictures, more = {}) => ({
  opened: "one",
  folder: "/dogs",
  total: pictures.length,
  pictures,
  next: null,
  concepts: [],
  problems: [],
  revision: 1,
  history: HISTORY,
  trigger: "",
  ...more,
});
const changed = (revision, pictures, more = {}) => ({ revision, changed: pictures, gone: [], history: HISTORY, ...more });
const refused = (status, message = "Refused.") => new ApiError(message, status);

/** A promise that the test settles itself. */
function later() {
  const handle = {};
  handle.promise = new Promise((resolve, reject) => Object.assign(handle, { resolve, reject }));
  return handle;
}

/**
 * A store whose requests are answered by `routes`: path → answer, list of answers in turn, or a function of the request.
 * Token counts are none of these tests' business.
 */
function store(t, routes, localStorage = new MemoryStorage()) {
  provide(t, { localStorage });
  const sent = [];
  const all = { counts: { counts: [] }, ...routes };
  const post = async (path, body, signal) => {
    const name = path.replace("captions/", "");
    if (name !== "counts") sent.push([name, structuredClone(body)]);
    let answer = all[name];
    if (Array.isArray(answer)) answer = answer.length > 1 ? answer.shift() : answer[0];
    if (typeof answer === "function") answer = await answer(body, signal);
    if (answer instanceof Error) throw answer;
    return structuredClone(await answer);
  };
  const made = new CaptionStore({ api: { post }, draft: { get: () => "" } });
  const heard = [];
  made.listen((event, ids) => heard.push(ids ? `${event} ${ids}` : event));
  return { made, sent, heard, routes: all, localStorage };
}

const DOGS = [picture(1, "a.png", "a dog"), picture(2, "b.png", "b dog"), picture(3, "c.png", "")];
const captions = (made) => made.order.map((id) => made.entry(id).caption);

test("a large folder comes in several answers", async (t) => {
  const { made, sent } = store(t, {
    open: [opening(DOGS.slice(0, 2), { next: 2, total: 3 }), opening(DOGS.slice(2), { total: 3 })],
  });
  await made.open("/dogs");
  assert.deepEqual(sent.map(([, body]) => body.start), [0, 2]);
  assert.deepEqual(made.order, [1, 2, 3]);
  assert.equal(made.active, 1);
  assert.equal(made.busy, "");
});

test("a folder that was read anew between two answers is read from its start", async (t) => {
  const { made, sent } = store(t, {
    open: [
      opening(DOGS.slice(0, 2), { next: 2 }),
      opening([picture(9, "z.png", "z")], { opened: "two" }),
      opening([picture(5, "a.png", "again")], { opened: "two" }),
    ],
  });
  await made.open("/dogs");
  assert.deepEqual(sent.map(([, body]) => body.start), [0, 2, 0]);
  assert.deepEqual(captions(made), ["again"]);
});

test("an empty folder has nothing active", async (t) => {
  const { made } = store(t, { open: opening([]) });
  await made.open("/empty");
  assert.equal(made.active, null);
  assert.deepEqual(made.ids("active"), []);
});

test("a folder that can't be opened leaves the open one as it is", async (t) => {
  const { made } = store(t, { open: [opening(DOGS), refused(404, "There is no such folder.")] });
  await made.open("/dogs");
  await assert.rejects(made.open("/cats"), { message: "There is no such folder." });
  assert.equal(made.folder, "/dogs");
  assert.deepEqual(made.order, [1, 2, 3]);
  assert.equal(made.busy, "");
});

test("the last folder that was asked for is shown, whichever answer comes last", async (t) => {
  const slow = later();
  const aborted = [];
  const open = ({ folder }, signal) => {
    if (folder === "/cats") return opening([picture(7, "cat.png", "cat")], { folder, opened: "two" });
    signal.addEventListener("abort", () => slow.reject(new DOMException("Aborted", "AbortError")));
    signal.addEventListener("abort", () => aborted.push(folder));
    return slow.promise;
  };
  const { made } = store(t, { open });
  const first = made.open("/dogs");
  await settled();
  await made.open("/cats");
  await assert.rejects(first, { name: "AbortError" });
  assert.deepEqual(aborted, ["/dogs"]);
  assert.equal(made.folder, "/cats");
  assert.equal(made.busy, "");
});

test("what was selected stays so where the same folder is read again, by name", async (t) => {
  const again = [picture(11, "b.png", "b dog"), picture(12, "c.png", "")];
  const { made } = store(t, { open: [opening(DOGS), opening(again, { opened: "two" }), opening(DOGS, { folder: "/cats", opened: "three" })] });
  await made.open("/dogs");
  made.select([1, 2], true);
  made.activate(2);
  await made.open("/dogs");
  assert.deepEqual([...made.selected], [11]);
  assert.equal(made.active, 11);
  await made.open("/cats");
  assert.deepEqual([...made.selected], [], "another folder's pictures of the same name aren't meant");
  assert.equal(made.active, 1);
});

test("changes are made one after the other, each from where the last one ended", async (t) => {
  const slow = later();
  const { made, sent, heard } = store(t, {
    open: opening(DOGS),
    edit: [slow.promise, changed(3, [picture(1, "a.png", "two", { revision: 3 })])],
  });
  await made.open("/dogs");
  heard.length = 0;
  const first = made.edit({ ids: [1], edit: { do: "set", text: "one" } });
  const second = made.edit({ ids: [1], edit: { do: "set", text: "two" } });
  await settled();
  assert.equal(sent.length, 2, "the second one waits");
  slow.resolve(changed(2, [picture(1, "a.png", "one", { revision: 2 })]));
  await Promise.all([first, second]);
  assert.deepEqual(sent.slice(1).map(([, { since }]) => since), [1, 2]);
  assert.equal(made.entry(1).caption, "two");
  assert.deepEqual(heard.filter((one) => one.startsWith("entries")), ["entries 1", "entries 1"]);
});

test("a change that fails doesn't keep the next one from being made", async (t) => {
  const { made } = store(t, { open: opening(DOGS), edit: [refused(400), changed(2, [picture(1, "a.png", "x", { revision: 2 })])] });
  await made.open("/dogs");
  const first = made.edit({ ids: [1], edit: { do: "set", text: "?" } });
  const second = made.edit({ ids: [1], edit: { do: "set", text: "x" } });
  await assert.rejects(first, { status: 400 });
  await second;
  assert.equal(made.entry(1).caption, "x");
});

test("an answer that was overtaken changes nothing back", async (t) => {
  const { made } = store(t, {
    open: opening(DOGS),
    state: [
      changed(5, [picture(1, "a.png", "new", { revision: 5 })]),
      changed(4, [picture(1, "a.png", "old", { revision: 4 })]),
      changed(6, [picture(1, "a.png", "older still", { revision: 3 }), picture(2, "b.png", "b new", { revision: 6 })]),
    ],
  });
  await made.open("/dogs");
  await made.refresh();
  await made.refresh();
  assert.equal(made.entry(1).caption, "new");
  assert.equal(made.revision, 5);
  await made.refresh();
  assert.deepEqual(captions(made), ["new", "b new", ""]);
});

test("pictures that another program adds or deletes come and go in the order of names", async (t) => {
  const found = changed(2, [picture(4, "aa.png", "")], { gone: [2] });
  const { made } = store(t, { open: opening(DOGS), state: found });
  await made.open("/dogs");
  made.select([2, 3], true);
  await made.refresh();
  assert.deepEqual(made.shown, [1, 4, 3]);
  assert.deepEqual([...made.selected], [3]);
});

test("what a filter shows stays until it is asked again; a change marks it as out of date", async (t) => {
  const { made } = store(t, {
    open: opening(DOGS),
    filter: { ids: [3, 1, 99] },
    state: changed(2, [picture(1, "a.png", "a cat", { revision: 2 })], { gone: [3] }),
  });
  await made.open("/dogs");
  await made.filter({ all: [{ tag: "dog" }] });
  assert.deepEqual(made.shown, [3, 1], "an id that isn't there any more is left out");
  assert.equal(made.stale, false);
  await made.refresh();
  assert.deepEqual(made.shown, [1]);
  assert.equal(made.stale, true);
  await made.filter(null);
  assert.deepEqual(made.shown, made.order);
  assert.equal(made.stale, false);
});

test("of two filters the last one counts, whichever answer comes last", async (t) => {
  const answers = { first: later(), second: later() };
  const filter = ({ filter }) => answers[filter.name].promise;
  const { made } = store(t, { open: opening(DOGS), filter });
  await made.open("/dogs");
  const first = made.filter({ name: "first" }).catch(() => null);
  const second = made.filter({ name: "second" });
  answers.second.resolve({ ids: [2] });
  await second;
  answers.first.resolve({ ids: [1] });
  await first;
  assert.deepEqual(made.shown, [2]);
});

test("requests name the active, the selected or the shown pictures, in the folder's order", async (t) => {
  const { made } = store(t, { open: opening(DOGS), filter: { ids: [2] } });
  await made.open("/dogs");
  made.select([3, 1], true);
  made.select([2], true);
  made.select([2], false);
  made.activate(2);
  await made.filter({ all: [] });
  assert.deepEqual([made.ids("active"), made.ids("selected"), made.ids("shown")], [[2], [1, 3], [2]]);
});

test("what is typed survives a failed request and a reload, and is forgotten once it has arrived", async (t) => {
  const routes = { open: opening(DOGS), edit: [refused(0), changed(2, [picture(1, "a.png", "typed", { revision: 2 })])] };
  const { made, localStorage } = store(t, routes);
  await made.open("/dogs");
  made.keepUnsent(1, "typed");
  await assert.rejects(made.send(1, "typed"), { status: 0 });
  assert.deepEqual(made.unsent.list(), [[1, "typed"]]);

  const { made: other } = store(t, { open: opening(DOGS, { folder: "/cats" }) }, localStorage);
  await other.open("/cats");
  assert.deepEqual(other.unsent.list(), [], "it belongs to the folder");

  const moved = [picture(21, "a.png", "a dog"), picture(22, "b.png", "b dog")];
  const { made: again } = store(t, { ...routes, open: opening(moved), edit: changed(2, [picture(21, "a.png", "typed", { revision: 2 })]) }, localStorage);
  await again.open("/dogs");
  assert.deepEqual(again.unsent.list(), [[21, "typed"]], "and to the picture's name");
  await again.send(21, "typed");
  assert.deepEqual(again.unsent.list(), []);
  assert.equal(localStorage.getItem("sdft.captions.typed"), null);
});

test("what is typed while it is being sent stays unsent, and goes on from what was sent", async (t) => {
  const slow = later();
  const { made, sent } = store(t, { open: opening(DOGS), edit: [slow.promise, changed(3, [picture(1, "a.png", "ab", { revision: 3 })])] });
  await made.open("/dogs");
  made.keepUnsent(1, "a");
  const first = made.send(1, "a");
  await settled();
  made.keepUnsent(1, "ab");
  slow.resolve(changed(2, [picture(1, "a.png", "a", { revision: 2 })]));
  await first;
  assert.deepEqual(made.unsent.list(), [[1, "ab"]]);
  await made.send(1, "ab");
  assert.deepEqual(sent.slice(1).map(([, { revision }]) => revision), [1, 2], "not a conflict with one's own text");
  assert.deepEqual(made.unsent.list(), []);
});

test("a text that is there already isn't sent", async (t) => {
  const { made, sent } = store(t, { open: opening(DOGS) });
  await made.open("/dogs");
  made.keepUnsent(1, "a dog");
  await made.send(1, "a dog");
  assert.deepEqual(sent.map(([name]) => name), ["open"]);
  assert.deepEqual(made.unsent.list(), []);
});

test("a caption that changed meanwhile is a conflict: the typed text stays, the new caption is read", async (t) => {
  const { made, sent } = store(t, {
    open: opening(DOGS),
    edit: [refused(409, "The caption has changed."), changed(3, [picture(1, "a.png", "typed", { revision: 3 })])],
    state: changed(2, [picture(1, "a.png", "theirs", { revision: 2 })]),
  });
  await made.open("/dogs");
  made.keepUnsent(1, "typed");
  await assert.rejects(made.send(1, "typed"), { status: 409 });
  assert.equal(made.entry(1).caption, "theirs");
  assert.deepEqual(made.unsent.list(), [[1, "typed"]]);
  made.rebaseUnsent(1);
  await made.send(1, "typed");
  assert.deepEqual(sent.filter(([name]) => name === "edit").map(([, { revision }]) => revision), [1, 2]);
});

test("a caption that changes while somebody types in it is sent with the revision that was typed over", async (t) => {
  const { made, sent } = store(t, { open: opening(DOGS), state: changed(2, [picture(1, "a.png", "theirs", { revision: 2 })]), edit: changed(3, []) });
  await made.open("/dogs");
  made.keepUnsent(1, "t");
  await made.refresh();
  made.keepUnsent(1, "ty");
  await made.send(1, "ty");
  assert.equal(sent.at(-1)[1].revision, 1, "so that the server can tell that it would be written over");
});

/** A server that was restarted after the folder had been opened: it knows `again` as "two" and nothing of "one". */
function restarted(t, again, answer) {
  const gone = refused(409, "Open the folder again.");
  const only = (found) => (body) => (body.opened === "two" ? found : gone);
  return store(t, {
    open: [opening(DOGS), opening(again, { opened: "two", revision: 7 })],
    state: only(changed(7, [])),
    edit: only(answer),
    tags: only({ tags: [] }),
  });
}

test("after a restart the folder is opened again, and the change is made to the same pictures", async (t) => {
  const again = [picture(31, "b.png", "b dog"), picture(32, "a.png", "a dog")];
  const { made, sent } = restarted(t, again, changed(8, [picture(32, "a.png", "set", { revision: 8 })]));
  await made.open("/dogs");
  await made.edit({ ids: [1], edit: { do: "set", text: "set" }, revision: 1 });
  const [, last] = sent.at(-1);
  assert.deepEqual(last.ids, [32]);
  assert.equal(last.opened, "two");
  assert.equal(last.revision, undefined, "the old one counted for the old ids");
  assert.equal(made.entry(32).caption, "set");
});

test("after a restart nothing is written over a caption that changed, or to a picture that is gone", async (t) => {
  for (const [again, body] of [
    [[picture(32, "a.png", "changed by another program")], { ids: [1], revision: 1 }],
    [[picture(31, "b.png", "b dog")], { ids: [1, 2] }],
  ]) {
    const { made, sent } = restarted(t, again, changed(8, []));
    await made.open("/dogs");
    await assert.rejects(made.edit({ ...body, edit: { do: "clear" } }), { status: 409 });
    assert.equal(sent.filter(([name]) => name === "edit").length, 1, "it isn't sent a second time");
    assert.equal(made.opened, "two", "what is there now is shown");
  }
});

test("after a restart a preview has to be looked at again", async (t) => {
  const { made, sent } = restarted(t, DOGS, changed(8, []));
  await made.open("/dogs");
  await assert.rejects(made.edit({ preview: "p1", ids: [1], edit: { do: "clear" } }), (error) => error.status === 409 && /preview/.test(error.message));
  assert.equal(sent.filter(([name]) => name === "edit").length, 1);
});

test("a conflict on a server that wasn't restarted doesn't open the folder again", async (t) => {
  const { made, sent } = store(t, { open: opening(DOGS), state: changed(1, []), edit: refused(409, "The captions have changed.") });
  await made.open("/dogs");
  await assert.rejects(made.edit({ ids: [1], edit: { do: "clear" } }), { message: "The captions have changed." });
  assert.deepEqual(sent.map(([name]) => name), ["open", "edit", "state"]);
});

test("token counts come later, and a missing tokenizer is no error", async (t) => {
  const counts = [{ counts: [[1, 4], [2, 3], [99, 1]] }, refused(503, "No tokenizer.")];
  const { made, heard } = store(t, { open: opening(DOGS), counts, state: changed(2, [picture(3, "c.png", "x", { tokens: null, revision: 2 })]) });
  await made.open("/dogs");
  await settled();
  assert.equal(made.entry(1).tokens, 4);
  assert.ok(heard.includes("entries 1"), "only the picture whose count is new is drawn again");
  await made.refresh();
  await settled();
  assert.equal(made.entry(3).tokens, null);
});

const CATS = [picture(1, "cat.png", "a cat"), picture(2, "kitten.png", "a kitten")];
const cats = (more = {}) => opening(CATS, { folder: "/cats", opened: "two", ...more });

test("what was typed while another folder was read goes to its own folder, before that one is shown", async (t) => {
  const slow = later();
  const { made, sent } = store(t, {
    open: ({ folder }) => (folder === "/cats" ? slow.promise : opening(DOGS)),
    edit: () => changed(2, [picture(2, "b.png", "b dog, typed", { revision: 2 })]),
  });
  await made.open("/dogs");
  const opened = made.open("/cats", async () => {
    for (const [id, text] of made.unsent.list()) await made.send(id, text);
  });
  await settled();
  made.keepUnsent(2, "b dog, typed");
  slow.resolve(cats());
  await opened;
  const [, edit] = sent.find(([path]) => path === "edit");
  assert.deepEqual([edit.folder, edit.opened, edit.ids], ["/dogs", "one", [2]]);
  assert.deepEqual(captions(made), ["a cat", "a kitten"]);
  assert.equal(made.unsent.size, 0);
});

test("a change that waits for its turn reaches its own folder before another one is shown", async (t) => {
  const slow = later();
  const answers = [slow.promise, changed(3, [picture(2, "b.png", "two", { revision: 2 })])];
  const { made, sent } = store(t, { open: ({ folder }) => (folder === "/cats" ? cats() : opening(DOGS)), edit: () => answers.shift() });
  await made.open("/dogs");
  const first = made.send(1, "one");
  const second = made.send(2, "two");
  const opened = made.open("/cats");
  await settled();
  assert.equal(made.folder, "/dogs");
  slow.resolve(changed(2, [picture(1, "a.png", "one", { revision: 2 })]));
  await Promise.all([first, second, opened]);
  assert.deepEqual(sent.filter(([path]) => path === "edit").map(([, body]) => body.folder), ["/dogs", "/dogs"]);
  assert.deepEqual(captions(made), ["a cat", "a kitten"]);
});

test("a text that couldn't be sent waits in the browser until its folder is opened again, whatever is typed elsewhere", async (t) => {
  const { made } = store(t, { open: ({ folder }) => (folder === "/cats" ? cats() : opening(DOGS)) });
  await made.open("/dogs");
  made.keepUnsent(2, "b dog, typed");
  await made.open("/cats");
  assert.equal(made.unsent.size, 0);
  made.keepUnsent(1, "a cat, typed");
  await made.open("/dogs");
  assert.deepEqual(made.unsent.list(), [[2, "b dog, typed"]]);
  made.forgetUnsent(2);
  await made.open("/cats");
  assert.deepEqual(made.unsent.list(), [[1, "a cat, typed"]]);
});
