// A mask's pixels as numbers: grey values in RGBA, as a canvas gives them.

/**
 * Inverts a mask in place; transparency stays.
 * @param {Uint8ClampedArray} data RGBA
 */
export function invertPixels(data) {
  for (let at = 0; at < data.length; at += 4) for (const channel of [0, 1, 2]) data[at + channel] = 255 - data[at + channel];
}

/**
 * Returns how much of a mask is white, 0 to 1.
 * @param {Uint8ClampedArray} data RGBA
 */
export function whiteShare(data) {
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) sum += data[at];
  return sum / ((255 * data.length) / 4);
}

/**
 * Says how much of a picture is trained with a mask.
 * @param {number} share how much of the mask is white, 0 to 1
 */
export function maskSummary(share) {
  if (share === 0) return "The mask is empty: paint the area to train.";
  if (share === 1) return "The mask is all white: the whole picture is trained.";
  return `${Math.max(1, Math.min(99, Math.round(100 * share)))} % of the picture is trained; the dark part isn't.`;
}
