// Requests to our own routes. They lie beside the page, so that a WebUI below a path (--subpath) works as well.

const BASE = new URL("../../v1/", import.meta.url);

/** A request that was refused or failed; its message is a sentence for the user. `status` is 0 where nobody answered. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const WITHOUT_DETAIL = {
  401: "You are not logged in any more: reload the page and log in.",
  403: "The server refuses this request: reload the page and try again.",
  404: "This is not there any more: reload the page.",
};

export class Api {
  token = "";

  /** The address of something below /sdft/v1/, for pictures. A server's answer can't lead anywhere else. */
  url(path, parameters = {}) {
    const url = new URL(String(path).replace(/^\/+/, ""), BASE);
    if (!url.href.startsWith(BASE.href)) throw new ApiError("The server names an address outside this page.", 0);
    for (const [key, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(key, value);
    return url.href;
  }

  get(path, parameters = {}, signal = undefined) {
    return this.#ask(this.url(path, parameters), { headers: { "X-SDFT-Token": this.token }, signal });
  }

  post(path, body = {}, signal = undefined) {
    return this.#ask(this.url(path), {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-SDFT-Token": this.token },
      body: JSON.stringify(body),
      signal,
    });
  }

  async #ask(url, options) {
    let answer;
    try {
      answer = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The server does not answer. Trying again.", 0);
    }
    let data = null;
    try {
      data = await answer.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (answer.ok) throw new ApiError("The server's answer can't be read: reload the page.", answer.status);
    }
    if (!answer.ok) throw new ApiError(this.#sentence(data, answer.status), answer.status);
    return data;
  }

  #sentence(data, status) {
    if (typeof data?.detail === "string") return data.detail;
    if (typeof data?.message === "string") return data.message;
    return WITHOUT_DETAIL[status] ?? `The server failed (${status}): its console says why.`;
  }
}

/** The part of a path that names one thing, whatever letters are in it. */
export const part = encodeURIComponent;
