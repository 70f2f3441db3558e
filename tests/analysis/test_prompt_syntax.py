"""Captions with prompt syntax, which training reads as plain text, are named before the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdft_ext.analysis.advice import advice
from sdft_ext.captions import reading
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import TrainRecipe
from tests.analysis.images import fill, recipe

SYNTAX = {
    "a (red hat:1.2), sks": ("weight", "(red hat:1.2)"),
    "a dog, (grass, sun : .8)": ("weight", "(grass, sun : .8)"),
    "a dog BREAK on grass": ("break", "BREAK"),
    "a {red|blue} dog": ("wildcard", "{red|blue}"),
    "a dog <lora:other:0.7>": ("network", "<lora:other:0.7>"),
}
PLAIN = [
    "saber (fate), 1girl",
    r"nier \(nier:2\), dog",
    "((a dog))",
    "a break in the wall",
    "a {dog}",
    "{{a|b}}",
    "time 12:30",
]


def findings(folder: Path, *captions: str, **settings: object) -> list[tuple[str, int, str]]:
    for path, caption in zip(fill(folder, len(captions)), captions, strict=True):
        path.with_suffix(".txt").write_text(caption)
    dataset = recipe(folder, **settings)
    found = scan(dataset)
    said = advice(found, Plan(found, dataset, TrainRecipe()))
    return [(f.facts["syntax"], f.facts["count"], f.text) for f in said if f.kind == "prompt_syntax"]


@pytest.mark.parametrize("caption", SYNTAX)
def test_each_kind_is_named_with_an_example_and_a_file(tmp_path: Path, caption: str) -> None:
    kind, example = SYNTAX[caption]
    ((found, count, text),) = findings(tmp_path, caption, "a dog", caption)
    assert (found, count) == (kind, 2)
    assert text.startswith("2 captions contain") and example in text and "000.png" in text
    assert any(text.partition("). ")[2] in sentence for sentence in reading.read(caption).advice)


def test_plain_captions_are_not(tmp_path: Path) -> None:
    assert findings(tmp_path, *PLAIN) == []
    assert not any("plain text" in sentence for caption in PLAIN for sentence in reading.read(caption).advice)


def test_wildcards_that_are_chosen_from_are_not(tmp_path: Path) -> None:
    assert findings(tmp_path, "a {red|blue} dog", wildcards=True) == []
