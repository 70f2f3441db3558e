// Where the calls of networks go in a prompt.

/**
 * @typedef {object} PromptCall
 * @property {string} call what calls the file in a prompt
 * @property {string} [word] the trained word that it replaces; empty where it replaces none
 * @property {string} [before] the name of an earlier try, whose call it replaces
 */

/**
 * Puts each call in the place of an earlier try's (by its name), else of the trained word; all go to the prompt's end where
 * it has neither.
 * @param {string} prompt
 * @param {PromptCall[]} calls
 */
export function withCalls(prompt, calls) {
  const places = calls.flatMap(({ call, before, word }) => {
    const name = escaped(before ?? "");
    const candidates = [
      before ? { text: before, pattern: `<(?:lora|hypernet):${name}:[^>]*>|\\(${name}:[\\d.]+\\)|${name}(?![\\w-])` } : null,
      word ? { text: word, pattern: `(?<![\\p{L}\\p{N}_-])${escaped(word)}(?![\\p{L}\\p{N}_])` } : null,
    ];
    const found = candidates.find((one) => one && prompt.search(new RegExp(one.pattern, "iu")) >= 0);
    return found ? [{ ...found, call }] : [];
  });
  if (!places.length) return `${prompt} ${calls.map((one) => one.call).join(" ")}`.trim();
  // All at once: a call may hold another one's word, and a word another one; of those that begin at one place, the longest.
  places.sort((a, b) => b.text.length - a.text.length);
  const any = new RegExp(places.map(({ pattern }) => `(${pattern})`).join("|"), "giu");
  return prompt.replace(any, (...found) => places[found.slice(1, places.length + 1).findIndex((one) => one !== undefined)].call);
}

/** Takes the calls of networks out of a prompt: they are no words of a caption. @param {string} prompt */
export function withoutCalls(prompt) {
  return prompt.replace(/<[^<>:]+:[^<>]*>/g, "").split(/\s+/).filter(Boolean).join(" ");
}

/** @param {string} text */
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
