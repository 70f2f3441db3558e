"""What a caption contains that a prompt would follow, but training reads as plain text."""

from __future__ import annotations

import re

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
PATTERNS = {
    "network": re.compile(r"<(?:lora|lyco|hypernet):[^<>]+>", re.IGNORECASE),
    "weight": re.compile(rf"(?<!\\)\((?:[^()\\]|\\.)*:\s*{_NUMBER}\s*\)"),
    "break": re.compile(r"\bBREAK\b"),
    "wildcard": re.compile(r"(?<!\{)\{[^{}]*\|[^{}]*\}(?!\})"),
}
"""The WebUI's ``<lora:name:1>``, ``(word:1.2)`` and ``BREAK``, and wildcards, ``{red|blue}``. Brackets without a number
are left out: many tags have them, as ``saber (fate)``.
"""
MEANING = {
    "network": "Training reads it as plain text: remove it, and load the file when you draw.",
    "weight": "Training reads brackets and numbers as plain text, and drawing with such a prompt doesn't: remove them.",
    "break": "Training reads it as a word, not as the beginning of a new chunk: remove it.",
    "wildcard": "Training reads it as plain text: set dataset.wildcards to true to choose one of the words each time.",
}
"""What each does in training, and what to do."""


def found(text: str, wildcards: bool) -> dict[str, str]:
    """Return the kinds of prompt syntax in a caption, each with its first example. ``wildcards``: they are chosen from,
    so they are left out.
    """
    kinds = (kind for kind in PATTERNS if not (wildcards and kind == "wildcard"))
    return {kind: match[0] for kind in kinds if (match := PATTERNS[kind].search(text))}
