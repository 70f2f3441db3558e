"""Show a caption as the model reads it: tokens in chunks of 75, and each word's and part's share of them.

All families that are trained here use CLIP's vocabulary, so no model is needed. The "attention" of a part is its share
of the tokens: what a caption spends on one thing, it can't spend on another.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..dataset import caption_syntax
from ..dataset.captions import tags
from . import budget
from .budget import Word

CHUNK = 75
MAX_TEXT = 100_000
"""Characters that are shown as tokens."""
KNOWN_WORDS = 200_000
"""Words whose token counts are kept."""
FEW_WORDS, LONG_PART = 3, 5
"""A caption of so few words is a trigger and a class word; parts longer than ``LONG_PART`` words on average are
sentences.
"""
CROWDED = 20
"""With more parts, each has so small a share that the model can hardly tell what matters."""

STRATEGIES = {
    "trigger": (
        "Trigger only",
        "Every caption is the trigger and perhaps the class word. Everything the pictures show goes into these few "
        "tokens: the guide calls it the fastest way. It suits a subject in front of varied backgrounds. What recurs "
        "next to the subject is learned as part of it, and comes along unasked.",
    ),
    "tags": (
        "Trigger and tags",
        "Comma-separated tags take what they name out of the concept, so that prompts can change it. Tags share the "
        "tokens, so "
        "many tags leave little for each. Shuffle or drop tags to keep their order from being learned; the trigger "
        "stays in front.",
    ),
    "sentence": (
        "Sentences",
        "A sentence says how things belong together (who holds what, what is where), the way base models were "
        "trained. It needs "
        "more tokens for the same facts, must not be shuffled, and is worth it for scenes with several things and "
        "for styles.",
    ),
}
"""Name → label, and what it does to training."""


@dataclass(frozen=True)
class Piece:
    """One token. ``part`` is the index of the caption's part that it belongs to."""

    text: str
    part: int
    word_end: bool


@dataclass(frozen=True)
class Part:
    """The text between two commas: its ``share`` of all tokens, and the ``chunk`` in which it begins."""

    text: str
    tokens: int
    share: float
    chunk: int


@dataclass(frozen=True)
class Reading:
    """A caption's ``count`` tokens; ``cut`` is the text past the first 75, which some trainers leave out.

    ``words``: as written; none where several are read together. ``budget``: how they share what a step can change.
    """

    count: int
    chunks: list[list[Piece]]
    parts: list[Part]
    words: list[Word]
    budget: str
    cut: str
    strategy: str
    advice: list[str]


class Counter:
    """Counts tokens. Counts of words are kept: thousands of captions use the same few hundred."""

    def __init__(self) -> None:
        self._words: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether the tokenizer is loaded, so that counting starts at once."""
        return bool(self._words)

    def counts(self, captions: Sequence[str]) -> list[int]:
        """Count the tokens of each caption, without start and end."""
        with self._lock:
            return [self._count(caption) for caption in captions]

    def _count(self, caption: str) -> int:
        if not caption.isascii() or "<" in caption or "&" in caption:
            return len(_ids(caption))  # such characters may change how the words beside them are read
        total = 0
        for word in caption.split():
            known = self._words.get(word)
            if known is None:
                if len(self._words) >= KNOWN_WORDS:
                    self._words.clear()
                known = self._words[word] = len(_ids(word))
            total += known
        return total


@lru_cache(maxsize=8_192)
def _ids(text: str) -> tuple[int, ...]:
    """Return a text's token ids."""
    from ..model import text as model_text
    from ..model.borrow import tokenizer

    return tuple(model_text.tokens(tokenizer(), text))


def read(caption: str, trigger: str = "") -> Reading:
    """Tokenize a caption, the first ``MAX_TEXT`` characters of it. ``trigger``: the words whose share is given."""
    from ..model import text as model_text
    from ..model.borrow import tokenizer

    caption = caption[:MAX_TEXT]
    ids = list(_ids(caption))
    pieces = _pieces(tokenizer(), ids)
    chunks: list[list[Piece]] = []
    begins: dict[int, int] = {}
    sizes: dict[int, int] = {}
    start = 0
    for number, chunk in enumerate(model_text.chunks(ids)):
        chunks.append(pieces[start : start + len(chunk)])
        start += len(chunk)
        for piece in chunks[-1]:
            begins.setdefault(piece.part, number)
            sizes[piece.part] = sizes.get(piece.part, 0) + 1
    texts = tags(caption)
    numbers = sorted(sizes)
    if len(texts) != len(numbers):  # a comma within a token, such as "),": as it was read
        texts = ["".join(p.text + (" " if p.word_end else "") for p in pieces if p.part == n).strip() for n in numbers]
    parts = [Part(text, sizes[n], sizes[n] / len(ids), begins[n]) for text, n in zip(texts, numbers, strict=True)]
    words = budget.words(caption, len(ids), lambda word: len(_ids(word)), [piece.part for piece in pieces])
    cut = budget.cut_at(caption, words, [piece.text for piece in pieces], CHUNK)
    if len(ids) > CHUNK and not cut:  # as it was read
        cut = "".join(p.text + (" " if p.word_end else "") for p in pieces[CHUNK:]).strip()
    advice = [*_advice(len(ids), len(chunks), parts), *_syntax(caption)]
    shared = budget.sentence(words, len(ids), trigger)
    return Reading(len(ids), chunks, parts, words, shared, cut, _strategy(caption), advice)


def _syntax(caption: str) -> list[str]:
    """Return a sentence for each kind of prompt syntax in a caption."""
    found = caption_syntax.found(caption, wildcards=False)
    return [f"The caption contains {example[:60]}. {caption_syntax.MEANING[kind]}" for kind, example in found.items()]


def _pieces(tokenizer: Any, ids: Sequence[int]) -> list[Piece]:
    pieces: list[Piece] = []
    part, closed = 0, False
    for name in tokenizer.convert_ids_to_tokens(list(ids)):
        text = tokenizer.convert_tokens_to_string([name]).rstrip(" ")
        if closed and "," not in text:
            part, closed = part + 1, False
        if "," in text and pieces:
            closed = True
        pieces.append(Piece(text, part, name.endswith("</w>")))
    return pieces


def _strategy(caption: str) -> str:
    parts = tags(caption)
    words = len(caption.split())
    if len(parts) <= 1 and words <= FEW_WORDS:
        return "trigger"
    return "tags" if len(parts) > 1 and words / len(parts) <= LONG_PART else "sentence"


def _advice(count: int, chunks: int, parts: Sequence[Part]) -> list[str]:
    found = []
    if count > CHUNK:
        found.append(
            f"The caption has {count} tokens and is read in {chunks} chunks of {CHUNK}: each chunk costs another "
            f"pass through "
            f"the text encoder, and trainers that read only {CHUNK} ignore the rest. Put what matters first, or "
            f"shorten it."
        )
    if len(parts) > CROWDED:
        found.append(
            f"{len(parts)} parts share the attention, about {100 / len(parts):.0f} % each: leave out what isn't in the "
            "picture, or goes without saying."
        )
    if len(parts) > 1:
        largest = max(parts, key=lambda part: part.tokens)
        if largest.share > 0.5:
            found.append(
                f"{largest.text[:60]!r} takes {largest.share:.0%} of the tokens and outweighs the other parts."
            )
    return found
