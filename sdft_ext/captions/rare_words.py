"""Suggest a trigger: a word that the model hardly knows.

A rare word that is one token has no meaning to unlearn and spends one token only (Ruiz 2022, section 3.2: "rare-token
identifiers"). CLIP's vocabulary lists its tokens in the order in which they were merged, frequent ones first, so that a
high id is a rare word. All families that are trained here use this vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

CANDIDATES = ("ohwx", "sks", "nlwx", "zshq", "nmwx", "cwgc", "kprs", "ncbd", "kprc", "mswx", "scwx", "mwf")
"""Words without a common meaning, the usual ones first; each is suggested only where the vocabulary agrees."""
RARE = 40_000
"""Token ids from here on are rare words; there are 49,408 tokens."""
WORD_END = "</w>"
"""CLIP's mark of a token that ends a word."""


def suggest(count: int, texts: Iterable[str]) -> list[str]:
    """Return up to ``count`` rare words, each one token, that occur in none of the ``texts``."""
    from ..model.borrow import tokenizer

    taken = {word for text in texts for word in re.findall(r"\w+", text.casefold())}
    vocabulary: Mapping[str, int] = tokenizer().get_vocab()
    rare = [word for word in CANDIDATES if vocabulary.get(word + WORD_END, 0) >= RARE]
    return [word for word in rare if word not in taken][:count]
