"""Normalize tags for comparison: without regard to capitals and the width of spaces."""

from __future__ import annotations

from functools import lru_cache

from ..dataset.captions import tags


def normalize(tag: str) -> str:
    """Return a tag in lower case, with one space between words."""
    return " ".join(tag.lower().split())


@lru_cache(maxsize=16_384)
def normalized_tags(caption: str) -> tuple[str, ...]:
    """Return the tags of a caption, each normalized."""
    return tuple(normalize(tag) for tag in tags(caption))


@lru_cache(maxsize=16_384)
def tag_set(caption: str) -> frozenset[str]:
    return frozenset(normalized_tags(caption))
