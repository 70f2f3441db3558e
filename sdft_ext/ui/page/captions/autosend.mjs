// Hands over what is typed into a caption: again where nobody answers, and by the user's choice where it changed meanwhile.

import { chooseText } from "./conflicts.mjs";

const AGAIN = 4000;

/**
 * `write(id, text)` and `write.all()` give whether the server has it. `arrived()` is called when a text was
 * settled. A `quiet` one, in a pause of typing, asks nothing.
 */
export function writing(app, book, { say, arrived }) {
  let timer = 0;
  let asking = false;

  const write = async (id, text, { quiet = false } = {}) => {
    try {
      await book.write(id, text);
      return true;
    } catch (error) {
      if (error.name === "AbortError") return false;
      if (error.status === 409 && book.entry(id)) {
        // Nobody is asked in the middle of a word: leaving the field hands it over again.
        return quiet ? false : clash(id, text);
      }
      say(`${error.message} What you wrote is kept here.`, "bad");
      // Nobody answers, or something failed there: it is sent again. A refusal stays one.
      if (error.status === 0 || error.status >= 500) write.again();
      return false;
    }
  };

  const clash = async (id, text) => {
    if (asking) return false;
    asking = true;
    try {
      const entry = book.entry(id);
      const kept = await chooseText(app, entry.name, text, entry.caption);
      if (kept === "mine") {
        book.over(id);
        return await write(id, text);
      }
      if (kept === "theirs") book.forget(id);
      return kept === "theirs";
    } finally {
      asking = false;
      arrived();
    }
  };

  /** Hands over everything that waits. */
  write.all = async () => {
    clearTimeout(timer);
    for (const [id, text] of book.unsent()) if (!(await write(id, text))) return false;
    return true;
  };

  write.again = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!app.over) write.all();
    }, AGAIN);
  };
  return write;
}
