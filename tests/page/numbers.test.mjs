import assert from "node:assert/strict";
import { test } from "node:test";
import { count, duration, fileSize, megabytes, plain, short, when } from "../../sdft_ext/ui/page/shared/numbers.mjs";

const each = (name, write, table) =>
  test(name, () => {
    for (const [value, text] of table) assert.equal(write(value), text, `${value}`);
  });

each("settings are written as people type them", plain, [
  [0, "0"],
  [12, "12"],
  [0.001, "0.001"],
  [0.0001, "1e-4"],
  [-0.00025, "-2.5e-4"],
  [1e-10, "1e-10"],
  [0.000_100_5, "1.005e-4"],
  [2 ** 53, "9007199254740992"],
  [1e21, "1e+21"],
  ["9007199254740993", "9007199254740993"],
  ["", ""],
  [null, ""],
  [undefined, ""],
  [NaN, "NaN"],
  [Infinity, "Infinity"],
]);

each("measured numbers have three digits", short, [
  [0, "0"],
  [0.123456, "0.123"],
  [0.001, "0.001"],
  [0.000_999_4, "1.0e-3"],
  [-0.000_012_34, "-1.2e-5"],
  [12.345, "12.3"],
  [1234.5, "1230"],
  [NaN, "–"],
  [-Infinity, "–"],
  [null, "–"],
  ["0.1", "–"],
]);

each("times have their two largest units", duration, [
  [0, "0 s"],
  [0.4, "0 s"],
  [59.4, "59 s"],
  [59.5, "1 min 0 s"],
  [3599.4, "59 min 59 s"],
  [3599.5, "1 h 0 min"],
  [7384, "2 h 3 min"],
  [360_000, "100 h 0 min"],
]);

each("memory is written in MB, from 1,024 of them on in GB", megabytes, [
  [0, "0 MB"],
  [1023.4, "1023 MB"],
  [1024, "1.0 GB"],
  [24_105.6, "23.5 GB"],
  [null, "–"],
  [undefined, "–"],
]);

each("no file is smaller than 1 kB", fileSize, [
  [0, "1 kB"],
  [1, "1 kB"],
  [2048, "2 kB"],
  [2 ** 20 - 1, "1024 kB"],
  [2 ** 20, "1.0 MB"],
  [2.1e9, "2002.7 MB"],
]);

test("one has its own word, and thousands are grouped", () => {
  assert.equal(count(0, "picture", "pictures"), "0 pictures");
  assert.equal(count(1, "picture", "pictures"), "1 picture");
  assert.equal(count(1_234_567, "picture", "pictures"), "1,234,567 pictures");
});

test("a run that has not begun shows no time", () => {
  assert.equal(when(0), "");
  assert.equal(when(null), "");
  assert.match(when(1_600_000_000), /2020/);
});
