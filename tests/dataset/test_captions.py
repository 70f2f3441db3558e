"""Captions: a pure function of caption, recipe and generator."""

from __future__ import annotations

import numpy as np
import pytest

from sdft_ext.dataset.captions import caption
from sdft_ext.recipe import Concept, DatasetRecipe

CONCEPT = Concept(trigger="sks", class_word="dog")
TAGS = "one, two, three, four, five, six"


def shown(words: str, seed: int | None = None, regularization: bool = False, **settings: object) -> str:
    rng = None if seed is None else np.random.default_rng(seed)
    return caption(CONCEPT, words, regularization, DatasetRecipe(**settings), rng)  # type: ignore[arg-type]


def test_the_caption_as_it_is() -> None:
    assert shown("a dog, running", seed=1) == "a dog, running"


@pytest.mark.parametrize(
    ("template", "words", "expected"),
    [
        ("a photo of [name], [filewords]", "on grass", "a photo of sks, on grass"),
        ("[name]", "on grass", "sks"),
        ("[name] [filewords]", "", "sks dog"),
        ("[filewords]", "say [name]", "say [name]"),
        ("[filewords], by [name]", "1, 2", "1, 2, by sks"),
        ("", "", "sks dog"),
    ],
)
def test_templates(template: str, words: str, expected: str) -> None:
    assert shown(words, template=template) == expected


def test_captions_of_regularization_pictures_never_contain_the_trigger() -> None:
    settings = {"template": "[name], [filewords]", "prefix": "sks style", "suffix": "by sks"}
    assert shown("a dog", regularization=True, seed=1, **settings) == "a dog"
    assert shown("", regularization=True, seed=1, **settings) == "dog"


def test_prefix_and_suffix_stay_outside_the_shuffle() -> None:
    for seed in range(20):
        got = shown(TAGS, seed, prefix="first,", suffix=", last", shuffle_tags=True)
        assert got.startswith("first, ") and got.endswith(", last")
        assert sorted(got.split(", ")[1:-1]) == sorted(TAGS.split(", "))


def test_shuffle_keeps_the_first_tags() -> None:
    got = [shown(TAGS, seed, shuffle_tags=True, keep_tags=2).split(", ") for seed in range(30)]
    assert all(tags[:2] == ["one", "two"] and sorted(tags) == sorted(TAGS.split(", ")) for tags in got)
    assert len({tuple(tags) for tags in got}) > 10


def test_tag_dropout_drops_its_share_and_keeps_the_order() -> None:
    order = TAGS.split(", ")
    got = [[t for t in shown(TAGS, seed, tag_dropout=0.25, keep_tags=1).split(", ") if t] for seed in range(400)]
    assert all(tags[0] == "one" and tags == [t for t in order if t in tags] for tags in got)
    assert sum(len(tags) - 1 for tags in got) / (400 * 5) == pytest.approx(0.75, abs=0.04)
    assert shown(TAGS, 1, tag_dropout=1.0) == ""


def test_caption_dropout_and_its_independence_of_the_rest() -> None:
    got = [shown(TAGS, seed, caption_dropout=0.3, shuffle_tags=True, prefix="p") for seed in range(500)]
    assert got.count("") / 500 == pytest.approx(0.3, abs=0.07)
    whole = [shown(TAGS, seed, shuffle_tags=True, prefix="p") for seed in range(500)]
    assert all(a in ("", b) for a, b in zip(got, whole, strict=True))


def test_each_kind_of_picture_has_a_caption_dropout_of_its_own() -> None:
    for regularization, expected in ((False, 0.0), (True, 0.4)):
        got = [shown(TAGS, seed, regularization, regularization_caption_dropout=0.4) for seed in range(500)]
        assert got.count("") / 500 == pytest.approx(expected, abs=0.07)


def test_without_a_generator_nothing_is_random() -> None:
    assert shown(TAGS, None, shuffle_tags=True, tag_dropout=0.9, caption_dropout=1.0) == TAGS


def test_the_same_generator_gives_the_same_caption() -> None:
    settings = {"shuffle_tags": True, "tag_dropout": 0.4}
    assert [shown(TAGS, seed, **settings) for seed in range(9)] == [shown(TAGS, seed, **settings) for seed in range(9)]
