// Sentences of the server name settings by their path in the recipe; the page shows their labels.

/** @typedef {(path: string) => { label: string } | undefined} Find finds a setting's field */

const PATHS = /[a-z_]+(?:\.[a-z_0-9]+|\[\d+\])+/g;

/** Finds the first setting that a sentence names; its path. @param {string} sentence @param {Find} find */
export function settingNamed(sentence, find) {
  return (sentence.match(PATHS) ?? []).map((text) => settingAt(text, find)).find(Boolean);
}

/**
 * Replaces paths by labels. A sentence that begins with the label of its own setting loses it: it is shown with that setting.
 * @param {string} sentence
 * @param {string} path the setting that it is about
 * @param {Find} find
 */
export function withLabels(sentence, path, find) {
  const label = find(path)?.label ?? path;
  const text = sentence.replace(PATHS, (name) => find(settingAt(name, find) ?? "")?.label ?? name);
  return text.startsWith(`${label}: `) ? text.slice(label.length + 2) : text;
}

/** @param {string} text @param {Find} find */
function settingAt(text, find) {
  const path = text.replace(/\[(\d+)\]/g, ".$1").replace(/^concepts\./, "dataset.concepts.");
  // A sentence may name one line of a list.
  return [path, path.replace(/\.\w+$/, "")].find((one) => find(one));
}

/** Replaces the paths of settings in a finding by their labels in quotes. @param {string} sentence @param {Find} find */
export function quotedLabels(sentence, find) {
  return sentence.replace(/\b(?:dataset|train)\.[a-z_]+/g, (path) => {
    const field = find(path);
    return field ? `“${field.label}”` : path;
  });
}
