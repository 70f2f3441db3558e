import assert from "node:assert/strict";
import { test } from "node:test";
import { choiceLabel, inRange, mapOf, rangeOf, readNumber, shown, unquoted } from "../../sdft_ext/ui/page/shared/setting_text.mjs";

test("what is typed as a whole number", () => {
  const read = (text) => readNumber(text, true);
  assert.equal(read(" 12 "), 12);
  assert.equal(read("-3"), -3);
  assert.equal(read("+3"), 3);
  assert.equal(read("007"), 7);
  for (const text of ["", "1.5", "1,5", "1e3", "0x10", "twelve", "1 2", "--1", "NaN", "Infinity"]) assert.equal(read(text), null, text);
});

test("a seed larger than JavaScript's numbers keeps every digit", () => {
  assert.equal(readNumber("9007199254740991", true), 9007199254740991);
  assert.equal(readNumber("9007199254740993", true), "9007199254740993");
  assert.equal(readNumber("-18446744073709551615", true), "-18446744073709551615");
});

test("what is typed as a number", () => {
  const read = (text) => readNumber(text, false);
  assert.equal(read("1e-4"), 0.0001);
  assert.equal(read("0,5"), 0.5, "a decimal comma");
  assert.equal(read(".5"), 0.5);
  assert.equal(read(" -2 "), -2);
  for (const text of ["", " ", "1,000,000", "1e999", "NaN", "-Infinity", "a"]) assert.equal(read(text), null, text);
});

test("limits belong to the range, and a missing one doesn't limit", () => {
  assert.ok(inRange(0, { low: 0, high: 1 }) && inRange(1, { low: 0, high: 1 }));
  assert.ok(!inRange(-0.001, { low: 0, high: 1 }) && !inRange(1.001, { low: 0, high: 1 }));
  assert.ok(inRange(-1e300, { low: null, high: 1 }) && inRange(1e300, { low: 0, high: null }));
  assert.ok(!inRange("18446744073709551616", { low: 0, high: 4294967295 }), "also for numbers that are kept as text");
});

test("a range is shown where it tells something", () => {
  assert.equal(rangeOf({ low: 1, high: 12, unit: "" }), "1–12");
  assert.equal(rangeOf({ low: 0, high: 0.0001, unit: "px" }), "0–1e-4 px");
  assert.equal(rangeOf({ low: 8, high: null, unit: "steps" }), "from 8 steps");
  assert.equal(rangeOf({ low: 8, high: 1_000_000, unit: "" }), "from 8", "so high a limit only keeps typing errors out");
  assert.equal(rangeOf({ low: 0, high: 1_000_000, unit: "steps" }), "steps");
  assert.equal(rangeOf({ low: null, high: null, unit: "" }), "");
});

test("values are shown as words", () => {
  assert.deepEqual(["", null, undefined].map(shown), ["empty", "empty", "empty"]);
  assert.deepEqual([[], ["a cat", ""], { a: 1 }].map(shown), ["empty", "“a cat”, “”", `{"a":1}`]);
  assert.deepEqual([true, false].map(shown), ["on", "off"]);
  assert.equal(shown(0), "0");
  assert.equal(shown(0.0001), "1e-4");
  assert.equal(shown(["a", "b"]), '“a”, “b”');
  assert.equal(shown("lora"), "lora");
  assert.equal(choiceLabel("constant_with_warmup"), "constant with warmup");
});

test("a map leaves out rows without a name, and checks whole numbers", () => {
  const rows = [["a", "1"], ["", "x"], ["b", " 2 "]];
  assert.deepEqual(mapOf(rows, true), { value: { a: 1, b: 2 } });
  assert.deepEqual(mapOf(rows, false), { value: { a: "1", b: " 2 " } });
  for (const value of ["", "1.5", "-1", "x"]) assert.match(mapOf([["a", "1"], ["b", value]], true).problem, /"b"/, value);
  assert.deepEqual(mapOf([["a", "1"], ["a", "2"]], true), { value: { a: 2 } }, "the last of two rows with one name");
  assert.deepEqual(mapOf([], true), { value: {} });
});

test("a path loses the quotes that it was copied with", () => {
  for (const typed of ['"C:\\\\my dogs"', ` 'C:\\\\my dogs' `, "C:\\\\my dogs"]) assert.equal(unquoted(typed), "C:\\\\my dogs");
  for (const typed of ["", '"', '"a', "a'b'"]) assert.equal(unquoted(typed), typed);
});
