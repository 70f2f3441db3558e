// Pictures that show the same: looked for in the background when somebody asks for them.

const AGAIN = 400;

/** `say(text)` shows how far the look is. */
export function copiesOf(book, say) {
  let looking = null;
  const search = async () => {
    const { opened } = book;
    try {
      for (let look = true; ; look = false) {
        const found = await book.ask("copies", { look });
        if (found.state === "failed") throw new Error(found.message);
        if (found.state === "finished" || opened !== book.opened) return;
        say(found.total ? `Looking for copies … ${found.done.toLocaleString("en")} of ${found.total.toLocaleString("en")}` : "Looking for copies …");
        await new Promise((done) => setTimeout(done, AGAIN));
      }
    } finally {
      looking = null;
      say("");
    }
  };
  return {
    /** Resolves when they are known. */
    look() {
      looking ??= search();
      return looking;
    },
  };
}
