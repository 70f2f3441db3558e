// Requests to this program's own routes. They are relative to the page, so that a WebUI below a path (--subpath) works too.

const BASE = new URL("../../v1/", import.meta.url);

/** A request that was refused or failed; its message is a sentence for the user. `status` is 0 where nobody answered. */
export class ApiError extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** @type {Record<number, string>} */
const WITHOUT_DETAIL = {
  401: "You are no longer logged in: reload the page and log in.",
  403: "The server refuses this request: reload the page and try again.",
  404: "This no longer exists: reload the page.",
};

/** @typedef {Record<string, string | number | boolean | undefined>} Parameters */

export class Api {
  token = "";
  /** Writes a sentence of the server for the page's user. @type {(sentence: string) => string} */
  inWords = (sentence) => sentence;

  /**
   * Gives the address of something below /sdft/v1/, such as a picture. A server's answer can't lead anywhere else.
   * @param {string} path
   * @param {Parameters} parameters
   */
  url(path, parameters = {}) {
    const url = new URL(String(path).replace(/^\/+/, ""), BASE);
    if (!url.href.startsWith(BASE.href)) throw new ApiError("The server names an address outside this page.", 0);
    for (const [key, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(key, String(value));
    return url.href;
  }

  /**
   * Asks for something. T is the shape of the answer that the place of the call expects.
   * @template [T=unknown]
   * @param {string} path
   * @param {Parameters} parameters
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  get(path, parameters = {}, signal = undefined) {
    return this.#ask(this.url(path, parameters), { headers: { "X-SDFT-Token": this.token }, signal });
  }

  /**
   * Has something done; `body` is sent as JSON.
   * @template [T=unknown]
   * @param {string} path
   * @param {unknown} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  post(path, body = {}, signal = undefined) {
    return this.#ask(this.url(path), {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-SDFT-Token": this.token },
      body: JSON.stringify(body),
      signal,
    });
  }

  /** @param {string} url @param {RequestInit} options */
  async #ask(url, options) {
    let answer;
    try {
      answer = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
    } catch (error) {
      if (aborted(error)) throw error;
      throw new ApiError("The server doesn't answer. Trying again.", 0);
    }
    let data = null;
    try {
      data = await answer.json();
    } catch (error) {
      if (aborted(error)) throw error;
      if (answer.ok) throw new ApiError("The server's answer can't be read: reload the page.", answer.status);
    }
    if (!answer.ok) throw new ApiError(this.inWords(refusal(data, answer.status)), answer.status);
    return data;
  }
}

/**
 * Says why a request was refused: in the server's own words, or by its status.
 * @param {unknown} data the answer's JSON
 * @param {number} status
 */
export function refusal(data, status) {
  const { detail, message } = /** @type {{ detail?: unknown, message?: unknown }} */ (data ?? {});
  if (typeof detail === "string") return detail;
  if (typeof message === "string") return message;
  return WITHOUT_DETAIL[status] ?? `The server failed (${status}); its console says why.`;
}

/** Whether a request ended because the page itself cancelled it. @param {unknown} error */
export const aborted = (error) => error instanceof Error && error.name === "AbortError";

/** The sentence of anything that was thrown. @param {unknown} error */
export const sentenceOf = (error) => (error instanceof Error ? error.message : String(error));

/** Encodes a part of a path that names one thing, whatever characters are in it. */
export const part = encodeURIComponent;
