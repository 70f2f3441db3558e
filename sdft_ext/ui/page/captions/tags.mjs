// Captions as comma-separated tags.

/**
 * Returns the comma-separated tags of a caption, without empty ones.
 * @param {string} text
 */
export function tagsOf(text) {
  return text
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);
}

/**
 * Returns a tag as it is compared: in lower case, with one space between words.
 * @param {string} tag
 */
export function plainTag(tag) {
  return tag.trim().toLowerCase().replace(/\s+/g, " ");
}
