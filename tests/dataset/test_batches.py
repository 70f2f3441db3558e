"""Batches: what a step gets, in any order and in any process."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from sdft_ext.dataset.batches import Batch, Batches
from sdft_ext.dataset.cache import Latents
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import Concept, DatasetRecipe, TrainRecipe
from tests.analysis.images import Cells, fill, image, recipe, save


def batches_of(settings: DatasetRecipe, folder: Path | None = None, **train: object) -> Batches:
    latents = Latents(settings, Cells(), "vae", folder)
    found = latents.prepare(scan(settings))
    return Batches(Plan(found, settings, TrainRecipe(**train)), latents)  # type: ignore[arg-type]


def equal(a: Batch, b: Batch) -> bool:
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Batch)]
    return all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in pairs)


def busy(folder: Path) -> DatasetRecipe:
    """Make a recipe with every random setting, and pictures of three shapes."""
    if not folder.exists():
        fill(folder / "instance", 5, 64, 100)
        fill(folder / "instance" / "2_wide", 2, 128, 64, first=10)
        fill(folder / "class", 7, first=20)
    chance = {"crop": "random", "flip": 0.5, "latents": "random", "tag_dropout": 0.3, "caption_dropout": 0.2}
    return recipe(folder / "instance", folder / "class", shuffle_tags=True, template="[filewords], a, b, c", **chance)


TRAIN = {"batch_size": 3, "accumulation": 2, "seed": 5}


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_a_step_is_the_same_whatever_was_asked_before(tmp_path: Path, cache: str) -> None:
    settings = replace(busy(tmp_path / "data"), cache=cache)
    one, two = (batches_of(settings, tmp_path / "cache", **TRAIN) for _ in range(2))
    forward = [one.at(step, micro) for step in range(12) for micro in range(2)]
    assert equal(two.at(7, 1), forward[15])
    for step in (11, 3, 7, 0):
        for micro in (1, 0):
            assert equal(one.at(step, micro), forward[2 * step + micro])


def digest(folder: str) -> str:
    batch = batches_of(busy(Path(folder)), **TRAIN).at(7, 1)
    return repr([getattr(batch, f.name) for f in fields(Batch)]) + repr(batch.latents.double().sum().item())


def test_another_process_gives_the_same_batch(tmp_path: Path) -> None:
    expected = digest(str(tmp_path / "data"))
    code = (
        "import importlib.util, sys; "
        f"spec = importlib.util.spec_from_file_location('loading', {__file__!r}); "
        "m = importlib.util.module_from_spec(spec); sys.modules['loading'] = m; spec.loader.exec_module(m); "
        f"sys.stdout.write(m.digest({str(tmp_path / 'data')!r}))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == expected


def test_shapes_types_and_one_bucket_each(tmp_path: Path) -> None:
    batches = batches_of(busy(tmp_path / "data"), **TRAIN)
    shapes = set()
    for step in range(batches.plan.steps_per_epoch):
        batch = batches.at(step)
        assert batch.latents.dtype == torch.float32 and batch.latents.shape[:2] == (3, 4)
        assert len(batch.captions) == len(batch.pictures) == 3
        assert batch.weight.shape == batch.regularization.shape == (3,) and batch.regularization.dtype == torch.bool
        assert batch.time_ids.shape == (3, 6) and batch.mask is None
        shapes.add(tuple(batch.latents.shape[2:]))
    assert len(shapes) == 3


def test_weights_are_those_of_the_concept_and_of_regularization(tmp_path: Path) -> None:
    fill(tmp_path / "a", 2)
    fill(tmp_path / "b", 2, first=5)
    fill(tmp_path / "class", 2, first=9)
    concepts = [
        Concept(instance=str(tmp_path / "a"), regularization=str(tmp_path / "class"), loss_weight=0.5),
        Concept(instance=str(tmp_path / "b"), loss_weight=2.0),
    ]
    batches = batches_of(recipe("", concepts=concepts), batch_size=6, prior_loss_weight=0.1)
    batch = batches.at(0)
    weights = dict(zip(batch.pictures, batch.weight.tolist(), strict=True))
    assert weights == pytest.approx({0: 0.5, 1: 0.5, 2: 0.05, 3: 0.05, 4: 2.0, 5: 2.0})
    flags = dict(zip(batch.pictures, batch.regularization.tolist(), strict=True))
    assert flags == {0: False, 1: False, 2: True, 3: True, 4: False, 5: False}


def test_pictures_without_a_mask_count_as_all_white(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    save(tmp_path / "000-mask.png", Image.new("L", (64, 64), 0))
    batch = batches_of(recipe(tmp_path), batch_size=2).at(0)
    assert batch.mask is not None and batch.mask.shape == (2, 1, 8, 8)
    assert {p: m.mean().item() for p, m in zip(batch.pictures, batch.mask, strict=True)} == {0: 0.0, 1: 1.0}


def test_time_ids_in_sdxls_order_with_the_crop_after_mirroring(tmp_path: Path) -> None:
    save(tmp_path / "a.png", image(160, 64))
    for flip, left in ((0.0, 10), (1.0, 96 - 64 - 10 + 64)):
        batches = batches_of(recipe(tmp_path, buckets=False, crop="random", flip=flip))
        sample = batches.plan.samples(0)[0]
        moved = replace(sample, geometry=replace(sample.geometry, x=10))
        assert batches._time_ids(moved) == (64, 160, 0, left, 64, 64)


def test_sampled_latents_have_the_vaes_standard_deviation(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    mean = batches_of(recipe(tmp_path)).at(0).latents
    drawn = batches_of(recipe(tmp_path, latents="random"))
    draws = torch.stack([drawn.at(step).latents for step in range(300)])
    assert (draws.mean(dim=0) - mean).abs().max() < 0.08
    assert draws.std(dim=0).mean().item() == pytest.approx(0.25, rel=0.05)
    assert torch.equal(drawn.fixed([0]).latents, mean), "nothing is left to chance in validation"


def test_fixed_batches(tmp_path: Path) -> None:
    batches = batches_of(busy(tmp_path / "data"), **TRAIN)
    groups = batches.fixed_groups(range(len(batches.plan.scan.pictures)), at_most=3)
    assert sorted(i for group in groups for i in group) == list(range(14)) and max(map(len, groups)) == 3
    for group in groups:
        batch = batches.fixed(group)
        assert batch.pictures == group and equal(batch, batches.fixed(group))
        assert all(caption.endswith("a, b, c") or batch.regularization[i] for i, caption in enumerate(batch.captions))


def test_fixed_batches_are_encoded_once_even_without_a_cache(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    batches = batches_of(recipe(tmp_path, cache="none"))
    first = batches.fixed([0, 1])
    calls = len(batches.latents.encode.calls)  # type: ignore[attr-defined]
    assert batches.fixed([0, 1]) is first and len(batches.latents.encode.calls) == calls  # type: ignore[attr-defined]


def test_to_moves_every_tensor(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    save(tmp_path / "000-mask.png", image(64, 64, 1, "L"))
    batch = batches_of(recipe(tmp_path)).at(0)
    assert batch.to("cpu") is batch
    moved = batch.to("meta")
    assert {t.device.type for t in (moved.latents, moved.weight, moved.mask, moved.regularization, moved.time_ids)} == {
        "meta"
    }


@pytest.mark.timed
def test_a_batch_costs_less_than_a_millisecond(tmp_path: Path) -> None:
    fill(tmp_path / "a", 12)
    fill(tmp_path / "b", 24, first=20)
    batches = batches_of(recipe(tmp_path / "a", tmp_path / "b"), batch_size=4)
    times = []
    for step in range(200):
        started = time.perf_counter()
        batches.at(step)
        times.append(time.perf_counter() - started)
    assert sorted(times)[100] < 1e-3
