"""Crops that were moved by hand decide what is trained, with and without a prepared copy."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sdft_ext.analysis.summary import summarize
from sdft_ext.dataset import crops
from sdft_ext.dataset.batches import Batches
from sdft_ext.dataset.cache import Latents
from sdft_ext.dataset.crops import Crop
from sdft_ext.dataset.folder import Scan, scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.desk.scans import Scans
from sdft_ext.preparation.execute import execute
from sdft_ext.preparation.focus import CropFinder
from sdft_ext.preparation.options import from_plain
from sdft_ext.preparation.plan import plan as plan_preparation
from sdft_ext.recipe import DatasetRecipe, TrainRecipe
from tests.analysis.images import Cells, image, recipe, save

SIZE = (160, 64)
TO_THE_RIGHT = Crop(1.0, 0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        save(tmp_path / "set" / "10_dog" / f"{number}.png", image(*SIZE, number))
    return tmp_path / "set"


def squares(folder: Path, **settings: object) -> DatasetRecipe:
    return recipe(folder, buckets=False, **settings)


def plan(folder: Path, **settings: object) -> Plan:
    dataset = squares(folder, **settings)
    return Plan(scan(dataset), dataset, TrainRecipe(batch_size=1))


def latents(folder: Path, **settings: object) -> dict[int, torch.Tensor]:
    """Return what the first epoch trains of each picture."""
    dataset = squares(folder, **settings)
    cache = Latents(dataset, Cells(), "vae")
    made = Plan(cache.prepare(scan(dataset)), dataset, TrainRecipe(batch_size=1))
    batches = Batches(made, cache)
    found = [batches.at(step) for step in range(made.steps_per_epoch)]
    return {batch.pictures[0]: batch.latents[0] for batch in found}


def test_a_crop_moved_by_hand_is_what_training_sees(folder: Path) -> None:
    before = latents(folder)
    crops.store(folder, "10_dog/1.png", SIZE, TO_THE_RIGHT)
    after = latents(folder)
    assert [torch.equal(before[i], after[i]) for i in range(3)] == [True, False, True]
    geometry = plan(folder).geometries[1]
    assert (geometry.x, geometry.slack[0]) == (96, 96)


def test_training_sees_what_a_prepared_copy_contains(folder: Path, tmp_path: Path) -> None:
    for number, crop in enumerate((TO_THE_RIGHT, Crop(0.2, 0.9, 1.5), Crop(0.5, 0.5, 3.0))):
        crops.store(folder, f"10_dog/{number}.png", SIZE, crop)
    own, out = latents(folder), tmp_path / "out"
    dataset = squares(folder)
    made = plan_preparation(scan(dataset), folder, out, from_plain({}), dataset, crops.read(folder))
    assert execute(made, CropFinder()).written == 3
    prepared = latents(out)
    assert all(torch.equal(own[i], prepared[i]) for i in range(3))


def test_it_stays_where_it_is_with_random_crops(folder: Path) -> None:
    crops.store(folder, "10_dog/1.png", SIZE, TO_THE_RIGHT)
    made = plan(folder, crop="random")
    places: dict[int, set[int]] = {}
    for step in range(4 * made.steps_per_epoch):
        (sample,) = made.samples(step)
        places.setdefault(sample.picture, set()).add(sample.geometry.x)
    assert places[1] == {96}
    assert len(places[0]) > 3 and len(places[2]) > 3
    dataset, vae = squares(folder, crop="random"), Cells()
    Latents(dataset, vae, "vae").prepare(scan(dataset))
    assert sum(vae.calls) == 1, "encoded once, ahead of time, as a crop in the middle"


def test_a_crop_of_another_size_of_the_picture_is_ignored(folder: Path) -> None:
    crops.store(folder, "10_dog/1.png", (161, 64), TO_THE_RIGHT)
    assert plan(folder).geometries[1] == plan(folder).geometries[0]


def test_a_run_doesn_t_resume_with_another_crop(folder: Path) -> None:
    prints = [scan(squares(folder)).fingerprint]
    for crop in (TO_THE_RIGHT, Crop(0.0, 0.5), None):
        crops.store(folder, "10_dog/1.png", SIZE, crop)
        prints.append(scan(squares(folder)).fingerprint)
    assert prints[0] == prints[3] and len(set(prints)) == 3


def advice(found: Scan, dataset: DatasetRecipe) -> str:
    return " ".join(summarize(found, Plan(found, dataset, TrainRecipe())).data["advice"])


def test_the_report_names_crops_by_hand_and_asks_for_no_other(folder: Path) -> None:
    assert "3 pictures are cropped by more than a quarter" in advice(scan(squares(folder)), squares(folder))
    for number in range(3):
        crops.store(folder, f"10_dog/{number}.png", SIZE, TO_THE_RIGHT)
    text = advice(scan(squares(folder)), squares(folder))
    assert "3 pictures are cropped where you moved the crop by hand" in text
    assert "cropped by more than a quarter" not in text


def test_the_page_s_cached_scans_follow_a_moved_crop(folder: Path) -> None:
    scans, dataset = Scans(), squares(folder)
    plain = scans.get(dataset)
    assert all(picture.crop is None for picture in plain.pictures)
    crops.store(folder, "10_dog/1.png", SIZE, TO_THE_RIGHT)
    assert scans.get(dataset).pictures[1].crop == TO_THE_RIGHT
    crops.store(folder, "10_dog/1.png", SIZE, None)
    assert scans.get(dataset).pictures == plain.pictures
