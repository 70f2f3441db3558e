"""Captions from a tagger's tags: thresholds, blacklist, prefix, underscores and brackets."""

from __future__ import annotations

from typing import Any

import pytest

from sdft_ext.taggers.base import Seen, Tag, TaggerError
from sdft_ext.taggers.tag_captions import Choice, appended, caption, listed

SEEN = Seen(
    (
        Tag("1girl", 0.99),
        Tag("safe", 0.95, "rating"),
        Tag("long_hair", 0.9),
        Tag("miku_(vocaloid)", 0.86, "character"),
        Tag("another_one", 0.6, "character"),
        Tag("^_^", 0.5),
        Tag("hat", 0.3),
    )
)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({}, "1girl, long hair, miku (vocaloid), ^_^"),
        ({"threshold": 0.95}, "1girl, miku (vocaloid)"),
        ({"threshold": 0.2, "character_threshold": 0.5}, "1girl, long hair, miku (vocaloid), another one, ^_^, hat"),
        ({"blacklist": ("Long Hair", "^_^")}, "1girl, miku (vocaloid)"),
        ({"prefix": "sks woman, "}, "sks woman, 1girl, long hair, miku (vocaloid), ^_^"),
        ({"prefix": "1girl"}, "1girl, long hair, miku (vocaloid), ^_^"),
        ({"spaces": False}, "1girl, long_hair, miku_(vocaloid), ^_^"),
        ({"escape": True}, "1girl, long hair, miku \\(vocaloid\\), ^_^"),
        ({"rating": True}, "1girl, safe, long hair, miku (vocaloid), ^_^"),
        ({"threshold": 1.0, "character_threshold": 1.0}, ""),
    ],
)
def test_tags_become_a_caption(choice: dict[str, Any], text: str):
    assert caption(SEEN, Choice(**choice)) == text


def test_a_sentence_gets_the_prefix_too():
    assert caption(Seen(sentence="a dog on a beach"), Choice(prefix="sks")) == "sks, a dog on a beach"


def test_only_what_is_new_is_appended():
    assert appended("sks, Long_Hair", "long hair, hat") == "sks, Long_Hair, hat"
    assert appended(" ", "hat") == "hat"
    assert listed("a, b\nc,,\n") == ("a", "b", "c")


def test_a_threshold_has_a_range():
    with pytest.raises(TaggerError, match="threshold 2"):
        Choice(threshold=2)
