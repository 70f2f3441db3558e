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
    choice = None if seed is None else np.random.default_rng([seed, 1])
    return caption(CONCEPT, words, regularization, DatasetRecipe(**settings), rng, choice)  # type: ignore[arg-type]


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


def test_a_wildcard_becomes_one_of_its_words_each_equally_often() -> None:
    got = [shown("a {red|blue|} dog, {big|small}", seed, wildcards=True) for seed in range(600)]
    assert set(got) == {f"a {colour}dog, {size}" for colour in ("red ", "blue ", "") for size in ("big", "small")}
    assert all(got.count(one) / 600 == pytest.approx(1 / 6, abs=0.05) for one in set(got))
    assert shown("a {red|blue} dog", wildcards=True) == "a red dog"
    assert shown("a {red|blue} dog", 1) == "a {red|blue} dog", "off by default"


def test_braces_that_are_no_wildcard_stay() -> None:
    assert shown("{dog}, {{a|b}}, }", 1, wildcards=True) == "{dog}, {a|b}, }"


def test_wildcards_count_in_template_prefix_and_suffix_too() -> None:
    settings = {"template": "{a|the} [filewords]", "prefix": "{x|y},", "suffix": ", {1|2}", "wildcards": True}
    got = {shown("dog", seed, **settings) for seed in range(200)}
    assert got == {f"{x}, {a} dog, {n}" for x in "xy" for a in ("a", "the") for n in "12"}


def test_a_wildcard_changes_no_other_draw() -> None:
    for seed in range(50):
        plain = shown(TAGS, seed, shuffle_tags=True, tag_dropout=0.3)
        chosen = shown(TAGS.replace("one", "{one|uno}"), seed, shuffle_tags=True, tag_dropout=0.3, wildcards=True)
        assert chosen.replace("uno", "one") == plain
