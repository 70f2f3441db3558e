// What the page's modules find in a browser, as far as these tests need it.

/** Storage that keeps texts in memory; `refuse` makes it fail as a private window's does. */
export class MemoryStorage {
  #texts = new Map();
  refuse = false;

  #open() {
    if (this.refuse) throw new DOMException("The operation is insecure.", "SecurityError");
    return this.#texts;
  }

  getItem(key) {
    return this.#open().get(key) ?? null;
  }

  setItem(key, text) {
    this.#open().set(key, String(text));
  }

  removeItem(key) {
    this.#open().delete(key);
  }
}

/** Puts things into the global scope until the test has ended. */
export function provide(test, things) {
  for (const [name, thing] of Object.entries(things)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value: thing, configurable: true, writable: true });
    test.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
}

/** A window and its document, which somebody sees. */
export function page(test) {
  const document = Object.assign(new EventTarget(), { hidden: false });
  const window = new EventTarget();
  provide(test, { document, window });
  return { document, window };
}

/** Resolves when everything that was only waiting for a promise has happened. */
export const settled = () => new Promise((done) => setImmediate(done));
