// A caption as the model reads it: pieces, chunks of 75, what is cut off, and how the attention is shared.

import { debounced, el, fill } from "../shared/dom.mjs";
import { count } from "../shared/numbers.mjs";

const PAUSE = 250;
const COLOURS = 8;

export function tokenView(app, book) {
  const facts = el("p.help", { "aria-live": "polite", data: { role: "tokens" } });
  const body = el("div.stack.tight");
  const problem = el("p.problem", { role: "alert", hidden: true });
  const strategies = el("details.fold", {}, el("summary", {}, "How a caption teaches"));
  let asked = null;
  let text = null;

  const ask = async (now) => {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    try {
      const found = await book.ask("tokens", { text: now }, signal);
      if (signal.aborted) return;
      problem.hidden = true;
      draw(found);
    } catch (error) {
      if (error.name === "AbortError") return;
      // Shown again as soon as something is typed or another picture is chosen.
      text = null;
      problem.textContent = error.message;
      problem.hidden = false;
    }
  };
  const later = debounced(ask, PAUSE);

  const draw = ({ count: tokens, chunks, parts, cut, strategy, advice }) => {
    facts.textContent = `${count(tokens, "token", "tokens")}, ${count(Math.max(chunks.length, 1), "chunk of 75", "chunks of 75")}`;
    const colour = (number) => `color-mix(in srgb, hsl(${(number % COLOURS) * 45 + 20} 70% 50%) 30%, var(--sdft-card))`;
    fill(
      body,
      parts.length > 0 &&
        el(
          "div.cap-shares",
          { role: "list", "aria-label": "How the attention is shared" },
          parts.map((part, number) => {
            const bar = el("span.meter-fill");
            bar.style.width = `${Math.round(part.share * 100)}%`;
            bar.style.background = colour(number);
            return el(
              "div.cap-share",
              { role: "listitem", title: `${part.text}: ${count(part.tokens, "token", "tokens")}` },
              el("span", {}, part.text),
              el("span.meter", { "aria-hidden": "true" }, bar),
              el("span", {}, `${Math.round(part.share * 100)} %`),
            );
          }),
        ),
      advice.map((one) => el("p.advice", {}, one)),
      chunks.map((pieces, number) =>
        el(
          "div.cap-chunk",
          {},
          chunks.length > 1 && el("span.quiet", {}, `Chunk ${number + 1}`),
          el(
            "div.cap-tokens",
            {},
            pieces.map((piece, at) => {
              const joined = at > 0 && !pieces[at - 1].word_end;
              const node = el(joined ? "span.cap-token.joined" : "span.cap-token", {}, piece.text);
              node.style.background = colour(piece.part);
              return node;
            }),
          ),
        ),
      ),
      cut && el("p.problem", {}, `A trainer that reads only 75 tokens leaves out: ${cut}`),
    );
    for (const node of strategies.querySelectorAll("[data-strategy]")) {
      const mine = node.dataset.strategy === strategy;
      node.classList.toggle("sdft-mine", mine);
      node.querySelector("[data-role=mine]").hidden = !mine;
    }
  };

  // The explanations are asked for when somebody opens them, once.
  strategies.addEventListener("toggle", async () => {
    if (!strategies.open || strategies.children.length > 1) return;
    try {
      const found = await book.app.api.post("captions/strategies");
      if (strategies.children.length > 1) return;
      strategies.append(
        el(
          "div.stack.tight",
          {},
          found.strategies.map((one) =>
            el(
              "div.cap-strategy",
              { data: { strategy: one.name } },
              el("h3.subtitle", {}, one.label, el("span.quiet", { hidden: true, data: { role: "mine" } }, " – this caption")),
              el("p.help", {}, one.text),
            ),
          ),
        ),
      );
      const now = text;
      text = null;
      if (now !== null) show(now);
    } catch (error) {
      strategies.open = false;
      problem.textContent = error.message;
      problem.hidden = false;
    }
  });

  const show = (now) => {
    if (now === text) return;
    text = now;
    asked?.abort();
    later(now);
  };
  return { node: el("section.stack.tight", { "aria-label": "Tokens and attention" }, el("div", {}, el("h3.subtitle", {}, "As the model reads it"), facts), problem, body, strategies), show };
}
