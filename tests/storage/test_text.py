"""Texts and paths as people and programs write them."""

from __future__ import annotations

import pytest

from sdft_ext.storage.text import quantity, unquoted


@pytest.mark.parametrize(
    ("number", "words", "written"),
    [
        (1, ("picture",), "1 picture"),
        (0, ("picture",), "0 pictures"),
        (1200, ("picture",), "1,200 pictures"),
        (1, ("caption was", "captions were"), "1 caption was"),
        (2, ("caption was", "captions were"), "2 captions were"),
    ],
)
def test_a_number_of_things(number: int, words: tuple[str, ...], written: str) -> None:
    assert quantity(number, *words) == written


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ('"C:\\my dogs"', "C:\\my dogs"),
        (" '/a b' ", "/a b"),
        ("/a b ", "/a b "),
        ("it's", "it's"),
        ('"', '"'),
        ("", ""),
    ],
)
def test_quotes_around_a_path_are_none_of_it(typed: str, path: str) -> None:
    assert unquoted(typed) == path
