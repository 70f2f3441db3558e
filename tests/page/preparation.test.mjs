// The preparation's logic: a crop that is moved and zoomed, a mask's pixels, what is said of pictures and outcomes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrowStep, CropBox } from "../../sdft_ext/ui/page/preparation/crop_box.mjs";
import { invertPixels, maskSummary, whiteShare } from "../../sdft_ext/ui/page/preparation/mask_pixels.mjs";
import { sizes } from "../../sdft_ext/ui/page/preparation/picture_card.mjs";
import { outcome } from "../../sdft_ext/ui/page/preparation/progress.mjs";

test("a crop stays inside its picture", () => {
  const crop = new CropBox({ x: 0.25, y: 0, width: 0.5, height: 1 });
  crop.moveTo(0.9, 0.4);
  assert.deepEqual(crop.box, { x: 0.5, y: 0, width: 0.5, height: 1 });
  crop.moveTo(-1, -1);
  assert.deepEqual(crop.crop, { x: 0.25, y: 0.5, zoom: 1 });
});

test("a crop is zoomed about its middle, from the whole to eight times", () => {
  const crop = new CropBox({ x: 0.25, y: 0, width: 0.5, height: 1 });
  crop.zoomBy(2);
  assert.deepEqual(crop.box, { x: 0.375, y: 0.25, width: 0.25, height: 0.5 });
  crop.zoomBy(100);
  assert.equal(crop.zoom, 8);
  crop.zoomBy(1 / 100);
  assert.deepEqual(crop.box, { x: 0.25, y: 0, width: 0.5, height: 1 });
});

test("a crop that was zoomed before knows its zoom", () => {
  assert.equal(new CropBox({ x: 0.1, y: 0.1, width: 0.25, height: 0.5 }).zoom, 2);
  assert.deepEqual(arrowStep("ArrowUp", 0.1), [0, -0.1]);
  assert.equal(arrowStep("Home", 0.1), null);
});

test("a mask is inverted without its transparency, and its white is counted", () => {
  const data = new Uint8ClampedArray([255, 255, 255, 255, 0, 0, 0, 255, 51, 51, 51, 255, 0, 0, 0, 255]);
  assert.ok(Math.abs(whiteShare(data) - 0.3) < 1e-12);
  invertPixels(data);
  assert.deepEqual([...data.slice(0, 12)], [0, 0, 0, 255, 255, 255, 255, 255, 204, 204, 204, 255]);
  assert.ok(Math.abs(whiteShare(data) - 0.7) < 1e-12);
});

test("an almost empty mask isn't called empty, nor an almost white one white", () => {
  assert.equal(maskSummary(0), "The mask is empty: paint the area to train.");
  assert.equal(maskSummary(1), "The mask is all white: the whole picture is trained.");
  assert.match(maskSummary(0.0001), /^1 % /);
  assert.match(maskSummary(0.9999), /^99 % /);
});

test("a picture's card names each size once, and the number of files where there are several", () => {
  const cut = (width, height) => ({ after: [width, height] });
  assert.equal(sizes({ width: 1024, height: 512, cuts: [cut(512, 512), cut(512, 512)], mirrored: true }), "1024 × 512 → 512 × 512 (4)");
  assert.equal(sizes({ width: 600, height: 600, cuts: [cut(512, 512)], mirrored: false }), "600 × 600 → 512 × 512");
  assert.equal(sizes({ width: 600, height: 600, cuts: [], mirrored: true }), "600 × 600 → –");
});

test("an outcome says what was written, what was there, and how a cancelled preparation goes on", () => {
  assert.equal(outcome({ state: "finished", written: 1, skipped: 0, out: "/out" }), "Done. 1 picture written to /out.");
  assert.equal(outcome({ state: "cancelled", written: 12, skipped: 3, out: "/out" }), "Cancelled; prepare again to continue from here. 12 pictures written to /out; 3 were there already.");
});
