import assert from "node:assert/strict";
import { test } from "node:test";
import { withCalls, withoutCalls } from "../../sdft_ext/ui/page/shared/prompt_calls.mjs";

const LORA = "<lora:sdft-try-2:1>";

test("a first call goes to the prompt's end", () => {
  assert.equal(withCalls("a cat", [{ call: LORA }]), `a cat ${LORA}`);
  assert.equal(withCalls("", [{ call: LORA }]), LORA);
  assert.equal(withCalls("a cat", [{ call: "one", word: "" }, { call: "two", before: "" }]), "a cat one two");
});

test("a later call takes the earlier one's place, whatever its weight", () => {
  const before = "sdft-try-1";
  assert.equal(withCalls("x <lora:sdft-try-1:0.7>, y", [{ call: LORA, before }]), `x ${LORA}, y`);
  assert.equal(withCalls("<hypernet:SDFT-try-1:1> x", [{ call: "<hypernet:b:1>", before }]), "<hypernet:b:1> x");
  assert.equal(withCalls("(sdft-try-1:1.2) x", [{ call: "sdft-try-2", before }]), "sdft-try-2 x");
  assert.equal(withCalls("sdft-try-1 and sdft-try-1", [{ call: "b", before }]), "b and b");
});

test("a name that only begins another one's is left alone", () => {
  const calls = [{ call: LORA, before: "try-1" }];
  assert.equal(withCalls("<lora:try-12:1>", calls), `<lora:try-12:1> ${LORA}`);
  assert.equal(withCalls("try-1-b", calls), `try-1-b ${LORA}`);
});

test("an embedding takes the place of the word it was trained on", () => {
  assert.equal(withCalls("a SKS dog, sks!", [{ call: "emb", word: "sks" }]), "a emb dog, emb!");
  assert.equal(withCalls("asks sks-like 1sks", [{ call: "emb", word: "sks" }]), "asks emb-like 1emb".replace("1emb", "1sks"));
  assert.equal(withCalls("Ärger", [{ call: "emb", word: "rger" }]), "Ärger emb", "letters of every language are part of a word");
});

test("names are no patterns", () => {
  assert.equal(withCalls("a.b axb", [{ call: "new", word: "a.b" }]), "new axb");
  assert.equal(withCalls("x", [{ call: "$& $1", before: "(" }]), "x $& $1");
  assert.equal(withCalls("sks", [{ call: "$& $1", word: "sks" }]), "$& $1");
});

test("several calls change places at once, and none replaces another's text", () => {
  const calls = [
    { call: "two words", word: "one" },
    { call: "one", word: "two" },
  ];
  assert.equal(withCalls("one, two", calls), "two words, one");
  const longest = [
    { call: "A", word: "red" },
    { call: "B", word: "red cat" },
  ];
  assert.equal(withCalls("red cat, red", longest), "B, A", "where both begin, the longer one counts");
});

test("a caption has no calls of networks in it", () => {
  assert.equal(withoutCalls("a cat <lora:x:0.8>  sitting\n<hypernet:y:1>"), "a cat sitting");
  assert.equal(withoutCalls("a < b > c"), "a < b > c");
  assert.equal(withoutCalls(""), "");
});
