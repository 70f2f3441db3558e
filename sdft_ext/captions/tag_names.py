"""Tags as they are compared: without regard to capitals and the width of spaces."""

from __future__ import annotations

from functools import lru_cache

from ..dataset.captions import tags


def normalize(tag: str) -> str:
    return " ".join(tag.lower().split())


@lru_cache(maxsize=16_384)
def normalized_tags(caption: str) -> tuple[str, ...]:
    """The tags of a caption, each as ``plain``."""
    return tuple(normalize(tag) for tag in tags(caption))


@lru_cache(maxsize=16_384)
def tag_set(caption: str) -> frozenset[str]:
    return frozenset(normalized_tags(caption))
