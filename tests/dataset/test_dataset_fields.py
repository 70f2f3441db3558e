"""Every field of a concept and of the dataset changes batches, the plan, or the files on disk.

A new field without an entry here fails the suite.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sdft_ext.analysis.summary import summarize
from sdft_ext.dataset.batches import Batches
from sdft_ext.dataset.cache import Latents, cache_folder
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import Concept, DatasetRecipe, TrainRecipe
from tests.analysis.images import Cells, fill, image, recipe, save

DATASET: dict[str, Any] = {
    "resolution": 48,
    "buckets": False,
    "bucket_step": 32,
    "bucket_min": 64,
    "bucket_max": 80,
    "no_upscale": True,
    "crop": "random",
    "flip": 0.5,
    "alpha": "mask",
    "background": "#102030",
    "captions": "filename",
    "caption_lines": "choose",
    "wildcards": True,
    "template": "[name], [filewords]",
    "prefix": "a photo of",
    "suffix": "in the wild",
    "shuffle_tags": True,
    "tag_dropout": 0.5,
    "caption_dropout": 0.5,
    "regularization_caption_dropout": 0.5,
    "latents": "random",
}
CONCEPT: dict[str, Any] = {
    "trigger": "sks",
    "class_word": "cat",
    "instance": "more",
    "regularization": "",
    "repeats": 2,
    "regularization_repeats": 2,
    "loss_weight": 0.5,
}
ELSEWHERE = {"concepts", "keep_tags", "linked_folder", "cache", "cache_folder", "name", "kind"}
"""Tested by a test of their own below; ``name`` only names, ``kind`` only chooses the guide's counts."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    fill(tmp_path / "a", 3)
    fill(tmp_path / "more", 4, first=40)
    save(tmp_path / "a" / "3 cut out.png", Image.new("RGBA", (64, 64), (200, 10, 10, 100)))
    save(tmp_path / "a" / "4 wide.png", image(150, 30))
    save(tmp_path / "a" / "5 small.png", image(24, 40))
    save(tmp_path / "a" / "6 tall.png", image(64, 100))
    (tmp_path / "a" / "6 tall.txt").write_text("one, two, three, four")
    (tmp_path / "a" / "4 wide.txt").write_text("a {broad|wide} house\na roof")
    save(tmp_path / "class" / "001.png", image(64, 64, 70))
    return tmp_path


def base(data: Path) -> DatasetRecipe:
    return recipe(data / "a", data / "class", concept_trigger="xyz", concept_class_word="dog")


def content(settings: DatasetRecipe, folder: Path) -> list[Any]:
    """Return the batches of the first steps, as plain values."""
    latents = Latents(settings, Cells(), "vae", folder)
    batches = Batches(Plan(latents.prepare(scan(settings)), settings, TrainRecipe()), latents)
    given = []
    for step in range(30):
        batch = batches.at(step)
        mask = None if batch.mask is None else batch.mask.tolist()
        given.append((batch.latents.tolist(), batch.captions, batch.weight.tolist(), mask))
    return given


@pytest.mark.parametrize("name", sorted(DATASET))
def test_dataset_field(data: Path, name: str) -> None:
    before = base(data)
    assert getattr(before, name) != DATASET[name]
    assert content(replace(before, **{name: DATASET[name]}), data) != content(before, data)


@pytest.mark.parametrize("name", sorted(CONCEPT))
def test_concept_field(data: Path, name: str) -> None:
    before = base(data)
    value = str(data / CONCEPT[name]) if name == "instance" else CONCEPT[name]
    concept = replace(before.concepts[0], **{name: value})
    assert content(replace(before, concepts=[concept]), data) != content(before, data)


def test_keep_tags(data: Path) -> None:
    before = replace(base(data), shuffle_tags=True)
    assert content(replace(before, keep_tags=3), data) != content(before, data)


def test_concepts(data: Path) -> None:
    before = base(data)
    second = Concept(instance=str(data / "more"))
    assert content(replace(before, concepts=[*before.concepts, second]), data) != content(before, data)


def test_cache_and_its_folder(data: Path) -> None:
    for cache, encoded, on_disk in (("none", 0, False), ("memory", 8, False), ("disk", 8, True)):
        settings, vae = replace(base(data), cache=cache), Cells()
        folder = cache_folder(replace(settings, cache_folder=str(data / cache)), "unused")
        Latents(settings, vae, "vae", folder).prepare(scan(settings))
        assert (sum(vae.calls), folder.exists()) == (encoded, on_disk)
    assert content(replace(base(data), cache="none"), data) == content(base(data), data), "only speed differs"


def test_kind(data: Path) -> None:
    before = base(data)
    style = replace(before, concepts=[replace(before.concepts[0], kind="style")])
    advice = [summarize(scan(s), Plan(scan(s), s, TrainRecipe())).data["advice"] for s in (before, style)]
    assert advice[0] != advice[1]


def test_no_field_is_forgotten() -> None:
    known = {*DATASET, *CONCEPT, *ELSEWHERE}
    assert {f.name for f in fields(DatasetRecipe)} | {f.name for f in fields(Concept)} == known
