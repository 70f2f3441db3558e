// Captions that another program changed while they were edited here: both texts side by side, and the user chooses.

import { changeNode } from "./tags.mjs";
import { dialog } from "../shared/dialog.mjs";
import { button, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

/** Shows all of them until each is settled or the window is closed. */
export async function settle(app, book) {
  let { conflicts } = await book.ask("conflicts");
  if (!conflicts.length) return app.say("No caption has two texts.");
  return dialog(
    app,
    "Changed on disk meanwhile",
    (close) => {
      const list = el("div.stack");
      const problem = el("p.problem", { role: "alert", hidden: true });
      const keep = async (those, which) => {
        try {
          await book.resolve(those.map((one) => one.id), which);
          conflicts = conflicts.filter((one) => !those.includes(one));
          if (!conflicts.length) return close(true);
          draw();
        } catch (error) {
          problem.textContent = error.message;
          problem.hidden = false;
        }
      };
      const side = (label, text, before, action, act) =>
        el(
          "div",
          {},
          el("h3.subtitle", {}, label),
          el("p.cap-text", {}, text === null ? el("em.quiet", {}, "The file was deleted.") : before === null ? text || el("em.quiet", {}, "(empty)") : changeNode(before, text)),
          button(action, act, { kind: "small" }),
        );
      const draw = () =>
        fill(
          list,
          conflicts.map((one) =>
            el(
              "section.stack.tight",
              { "aria-label": one.name, data: { conflict: one.name } },
              el("h3.subtitle", {}, one.name),
              el("div.cap-sides", {}, side("Yours", one.mine, one.before, "Keep yours", () => keep([one], "mine")), side("On disk", one.theirs, one.before, "Take the one on disk", () => keep([one], "theirs"))),
            ),
          ),
        );
      draw();
      return el(
        "div.stack",
        {},
        el("p.help", {}, "Another program wrote these files after you began to edit their captions. Nothing is lost: the text that you don't keep comes back with Undo."),
        conflicts.length > 1 && el("div.row.wrap", {}, el("span", {}, count(conflicts.length, "caption", "captions")), el("span.spring"), button("Keep all of yours", () => keep(conflicts, "mine"), { kind: "small" }), button("Take all from disk", () => keep(conflicts, "theirs"), { kind: "small" })),
        problem,
        list,
      );
    },
    { wide: true },
  );
}

/** One caption that changed while it was being typed. Gives `mine`, `theirs`, or null where the window is closed. */
export function chooseText(app, name, mine, theirs) {
  return dialog(
    app,
    "Changed meanwhile",
    (close) =>
      el(
        "div.stack",
        {},
        el("p.help", {}, `The caption of ${name} changed while you were writing.`),
        el(
          "div.cap-sides",
          {},
          el("div", {}, el("h3.subtitle", {}, "What you wrote"), el("p.cap-text", {}, changeNode(theirs, mine)), button("Use what you wrote", () => close("mine"), { kind: "small", data: { action: "use-mine" } })),
          el("div", {}, el("h3.subtitle", {}, "What is there now"), el("p.cap-text", {}, theirs || el("em.quiet", {}, "(empty)")), button("Leave what is there", () => close("theirs"), { kind: "small", data: { action: "use-theirs" } })),
        ),
      ),
    { wide: true },
  );
}
