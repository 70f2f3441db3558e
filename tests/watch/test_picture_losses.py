"""Which pictures stand out by their losses, and what measuring them may cost."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import Recipe, TrainRecipe
from sdft_ext.run_folder import picture_losses
from sdft_ext.run_folder.picture_losses import MeasuredPicture, PictureLosses
from sdft_ext.watch.picture_losses import NOTHING, SHARE, STEP, Measuring, measured_pictures, measuring, rated_pictures
from tests.analysis.images import fill, recipe

USUAL = 0.6


def losses(*changes: float, held_out: int = 0, seed: int = 0, pictures: int = 20) -> PictureLosses:
    """Pictures whose loss becomes ``USUAL`` of what it was, each a little different, and others that change so; the
    first ``held_out`` usual ones are kept out of training.
    """
    draws = np.random.default_rng(seed)
    before = np.exp(draws.normal(-2, 0.2, pictures + len(changes)))
    factors = np.concatenate([USUAL * np.exp(draws.normal(0, 0.05, pictures)), changes])
    described = tuple(MeasuredPicture(f"/{i}.png", 0, "a cat", i < held_out) for i in range(len(before)))
    return PictureLosses(4, described, {0: tuple(before), 30: tuple(before), 60: tuple(before * factors)})


def findings(found: PictureLosses) -> list[str]:
    return [one.finding for one in rated_pictures(found)]


def test_pictures_that_stand_out_are_named_and_no_others() -> None:
    found = losses(1.1, 0.2)
    assert findings(found) == [""] * 20 + ["mislabelled", "memorized"]
    now = (*found.steps[60][:-2], 10 * found.steps[60][-2], found.steps[60][-1])  # type: ignore[operator]
    before = (*found.steps[0][:-2], 12 * found.steps[0][-2], found.steps[0][-1])  # type: ignore[operator]
    hard = replace(found, steps={0: before, 60: now})
    assert findings(hard)[-2:] == ["hard", "memorized"]
    assert rated_pictures(found)[-2].change == pytest.approx(0.1)


def test_noise_alone_makes_nothing_stand_out() -> None:
    said = [finding for seed in range(200) for finding in findings(losses(seed=seed))]
    assert sum(map(bool, said)) <= 0.005 * len(said)


def test_nothing_is_mislabelled_while_the_others_have_not_fallen() -> None:
    found = losses(1.5)
    early = replace(found, steps={0: found.steps[0], 30: tuple(1.2 * v for v in found.steps[0])})  # type: ignore[operator]
    assert set(findings(early)) == {""}
    one = replace(found, steps={0: found.steps[0]})
    assert set(findings(one)) == {""}, "nothing to compare with yet"


def test_few_pictures_and_losses_that_are_no_numbers_say_nothing() -> None:
    assert set(findings(losses(1.5, pictures=4))) == {""}
    found = losses(1.1)
    broken = replace(found, steps={0: found.steps[0], 60: (None, *found.steps[60][1:])})
    rated = rated_pictures(broken)
    assert rated[0].change is None and rated[0].finding == "" and rated[-1].finding == "mislabelled"
    assert math.isnan(rated[0].fall)
    assert findings(replace(found, steps={0: found.steps[0], 60: (None,) * 21})) == [""] * 21
    assert rated_pictures(PictureLosses(4, (), {})) == []


def test_memorized_is_what_falls_far_more_than_held_out_pictures() -> None:
    """Where all that is trained is learned by heart, only pictures that were not trained show it."""
    draws = np.random.default_rng(1)
    before = np.exp(draws.normal(-2, 0.2, 24))
    factors = np.exp(draws.normal([math.log(0.95)] * 8 + [math.log(0.2)] * 16, 0.05))
    described = tuple(MeasuredPicture(f"/{i}.png", 0, "", i < 8) for i in range(24))
    found = PictureLosses(4, described, {0: tuple(before), 60: tuple(before * factors)})
    assert findings(found)[8:] == ["memorized"] * 16 and "memorized" not in findings(found)[:8]
    alone = replace(found, pictures=tuple(replace(one, held_out=False) for one in described))
    assert "memorized" not in findings(replace(alone, pictures=alone.pictures))


def plan(folder: Path, held_out: tuple[int, ...] = ()) -> tuple[Recipe, Plan]:
    if not (folder / "instance").exists():
        fill(folder / "instance", 10, 64, 64)
    settings = Recipe(dataset=recipe(folder / "instance"), train=TrainRecipe(batch_size=2))
    return settings, Plan(scan(settings.dataset), settings.dataset, settings.train, held_out)


@pytest.mark.parametrize("showings", [0, 100, 499, 500, 1_000, 2_000, 5_000, 100_000])
@pytest.mark.parametrize("saves", [(10,), tuple(range(10, 101, 10))])
def test_measuring_costs_at_most_its_share(showings: int, saves: tuple[int, ...], tmp_path: Path) -> None:
    found = measuring(*plan(tmp_path), showings, saves)
    passes = len(found.pictures) * found.draws * (len(found.steps) + 1)
    assert passes <= SHARE * STEP * showings
    assert (found == NOTHING) == (showings < 500), "two draws of ten pictures, before and now"
    if found != NOTHING:
        assert saves[-1] in found.steps and found.steps <= set(saves) and 1 <= found.draws <= 4
    if showings >= 100_000:
        assert found == Measuring(tuple(range(10)), 4, frozenset(saves))


def test_what_is_measured_is_spread_over_the_folder_and_named(tmp_path: Path) -> None:
    settings, found = plan(tmp_path, held_out=(5,))
    settings.watch.picture_losses = 2
    chosen = measuring(settings, found, 10_000, [10])
    assert chosen.pictures == (0, 5)
    described = measured_pictures(found, chosen.pictures)
    assert [one.held_out for one in described] == [False, True]
    assert Path(described[0].path) == found.scan.pictures[0].path
    settings.watch.validation_draws = 1
    assert measuring(settings, found, 10_000, [10]).draws == 1
    settings.watch.picture_losses = 0
    assert measuring(settings, found, 10_000, [10]) == NOTHING


def test_a_record_that_is_damaged_is_a_missing_one(tmp_path: Path) -> None:
    found = losses(1.1)
    picture_losses.write(tmp_path, found)
    assert picture_losses.read(tmp_path) == found
    picture_losses.forget_after(tmp_path, 30)
    assert list(picture_losses.read(tmp_path).steps) == [0, 30]  # type: ignore[union-attr]
    path = tmp_path / picture_losses.FILE
    whole = path.read_text()
    for damaged in ("", "[]", "{}", whole[:-9], whole.replace('"draws": 4', '"draws": "x"'), '{"steps": 3}'):
        path.write_text(damaged)
        assert picture_losses.read(tmp_path) is None
    picture_losses.forget_after(tmp_path, 30)
