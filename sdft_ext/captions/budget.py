"""How a caption's words share what a training step can change: each token has an equal part, as the guide counts it.

Guizmus' "sd-training-intro" calls this budget attention: "Adding more tokens to a caption … slows down the training on
each single token", which takes more steps or more of the trained tokens in a prompt, "and reduces the need for
regularization".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

LONGEST = 60
"""Characters of a trigger in a sentence."""


@dataclass(frozen=True)
class Word:
    """A word as it is written, with the comma behind it: its ``tokens``, their ``share`` of the caption's, the index of
    the ``part`` between commas in which it begins, and ``start``, its place in the caption in characters.
    """

    text: str
    tokens: int
    share: float
    part: int
    start: int


def words(caption: str, count: int, counted: Callable[[str], int], parts: Sequence[int]) -> list[Word]:
    """Return a caption's words; none where their tokens don't add up to ``count``, because some are read together.

    ``counted`` counts a word's tokens; ``parts``: the part of each token.
    """
    found = [(match[0], match.start(), counted(match[0])) for match in re.finditer(r"\S+", caption)]
    found = [one for one in found if one[2]]
    if sum(tokens for _, _, tokens in found) != count:
        return []
    before = accumulate((tokens for _, _, tokens in found), initial=0)
    return [
        Word(text, tokens, tokens / count, parts[first], start)
        for (text, start, tokens), first in zip(found, before, strict=False)
    ]


def cut_at(caption: str, found: Sequence[Word], pieces: Sequence[str], limit: int) -> str:
    """Return what is written behind the first ``limit`` tokens. Where it isn't clear where in a word they end, the
    whole word is in it.

    ``pieces``: the text of each token.
    """
    before = 0
    for word in found:
        if before + word.tokens > limit:
            inside = pieces[before:limit]
            whole = "".join(pieces[before : before + word.tokens]) == word.text.lower()
            start = word.start + (sum(map(len, inside)) if whole else 0)
            return caption[start:].strip()
        before += word.tokens
    return ""


def sentence(found: Sequence[Word], count: int, trigger: str) -> str:
    """Say what the trigger's words have of the budget, and what follows for steps, prompts and regularization; without
    the trigger in the caption, what each token has. Empty without tokens.
    """
    if not count:
        return ""
    own = _tokens_of(found, trigger)
    if not own:
        return (
            f"Each of the {count:,} tokens has {percent(1 / count)} of what a step can change. With half as many, each "
            "would learn about twice as fast; with twice as many, half as fast."
        )
    name = f"“{' '.join(trigger.split())[:LONGEST]}”"
    if own == count:
        return (
            f"{name} has all of what a step can change: this learns fastest, and needs the most regularization. What "
            "else the pictures show is learned with it."
        )
    return (
        f"{name} has {own:,} of {count:,} tokens, {percent(own / count)} of what a step can change. Compared with a "
        f"caption of these words alone, plan up to {_times(count / own)} times as many steps, or use more of the other "
        f"words in prompts, too. They take the other {percent(1 - own / count)}, so less regularization is needed."
    )


def percent(share: float) -> str:
    """Write a share: '20 %', below a tenth '6.7 %'. A half is rounded up, as the page does with the words' shares."""
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{int(100 * share + 0.5)} %"


def _times(factor: float) -> str:
    return f"{factor:.1f}".removesuffix(".0") if factor < 10 else f"{factor:.0f}"


def _tokens_of(found: Sequence[Word], trigger: str) -> int:
    """Return the tokens of the trigger's words where they first occur in a row, without commas; 0 where they don't."""
    wanted = [_bare(word) for word in trigger.split()]
    texts = [_bare(word.text) for word in found]
    for start in range(len(texts) - len(wanted) + 1) if wanted else ():
        if texts[start : start + len(wanted)] == wanted:
            return sum(word.tokens for word in found[start : start + len(wanted)])
    return 0


def _bare(word: str) -> str:
    return word.strip(",.;:").casefold()
