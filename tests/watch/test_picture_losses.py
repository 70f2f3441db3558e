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
from sdft_ext.watch.picture_losses import (
    CAPTIONS,
    NOTHING,
    SHARE,
    STEP,
    Measuring,
    measured_pictures,
    measuring,
    rated_pictures,
)
from tests.analysis.images import fill, recipe

USUAL = 0.6
Change = tuple[float, float]
MISLABELLED, MEMORIZED = (0.5, 1.1), (0.2, 0.6)


def losses(*changes: Change, seed: int = 0, pictures: int = 20, spread: float = 0.05) -> PictureLosses:
    """Pictures whose losses become ``USUAL`` of what they were, with their captions and with the phrase, each a little
    different; and others whose two losses change so.
    """
    draws = np.random.default_rng(seed)
    before = np.exp(draws.normal(-2, 0.2, pictures + len(changes)))
    usual = USUAL * np.exp(draws.normal(0, spread, (pictures, 2)))
    factors = np.concatenate([usual, np.reshape(changes, (-1, 2))])
    described = tuple(MeasuredPicture(f"/{i}.png", 0, "a cat", False) for i in range(len(before)))
    start = tuple(before.tolist())
    own, called = ({0: start, 30: start, 60: tuple((before * factors[:, k]).tolist())} for k in (0, 1))
    return PictureLosses(4, described, own, called)


def findings(found: PictureLosses) -> list[str]:
    return [one.finding for one in rated_pictures(found)]


def test_pictures_that_stand_out_are_named_and_no_others() -> None:
    found = losses(MISLABELLED, MEMORIZED)
    assert findings(found) == [""] * 20 + ["mislabelled", "memorized"]
    assert rated_pictures(found)[-2].change == pytest.approx(-0.5)
    levels = {
        step: (*values[:-2], 9 * values[-2], values[-1]) for step, values in losses((0.6, 0.6), MEMORIZED).steps.items()
    }  # type: ignore[operator]
    assert findings(replace(losses((0.6, 0.6), MEMORIZED), steps=levels))[-2:] == ["hard", "memorized"]


def test_noise_alone_makes_nothing_stand_out() -> None:
    for spread in (0.05, 0.2):
        said = [any(findings(losses(seed=seed, spread=spread))) for seed in range(300)]
        assert sum(said) <= 0.05 * len(said), spread


def test_nothing_is_mislabelled_while_the_others_have_not_fallen() -> None:
    found = losses((1.0, 1.5))
    early = replace(found, called={**found.called, 60: tuple(1.2 * value for value in found.called[0])})  # type: ignore[operator]
    assert set(findings(early)) == {""}
    assert set(findings(found.until(0))) == {""}, "nothing to compare with yet"


def test_few_pictures_and_losses_that_are_no_numbers_say_nothing() -> None:
    assert set(findings(losses(MISLABELLED, pictures=4))) == {""}
    found = losses(MISLABELLED)
    broken = found.measured(60, [math.nan, *found.steps[60][1:]], found.called[60])  # type: ignore[arg-type]
    rated = rated_pictures(broken)
    assert rated[0].change is None and rated[0].finding == "" and rated[-1].finding == "mislabelled"
    nothing = [math.inf] * 21
    assert findings(found.measured(60, nothing, nothing)) == [""] * 21
    assert rated_pictures(PictureLosses(4, ())) == []


def test_memorized_is_what_falls_far_more_than_held_out_pictures() -> None:
    """Where all that is trained is learned by heart, only pictures that were not trained show it."""
    found = losses(*[(0.95, 0.6)] * 8, *[(0.2, 0.6)] * 16, pictures=0)
    described = tuple(replace(one, held_out=i < 8) for i, one in enumerate(found.pictures))
    assert findings(replace(found, pictures=described)) == [""] * 8 + ["memorized"] * 16
    assert "memorized" not in findings(found)


def test_each_concept_is_judged_by_its_own_pictures() -> None:
    found = losses(*[(1.0, 1.0)] * 10)
    described = tuple(replace(one, concept=int(i >= 20)) for i, one in enumerate(found.pictures))
    assert "mislabelled" in findings(found) and set(findings(replace(found, pictures=described))) == {""}


def plan(folder: Path, held_out: tuple[int, ...] = ()) -> tuple[Recipe, Plan]:
    if not (folder / "instance").exists():
        fill(folder / "instance", 10, 64, 64)
    settings = Recipe(dataset=recipe(folder / "instance"), train=TrainRecipe(batch_size=2))
    return settings, Plan(scan(settings.dataset), settings.dataset, settings.train, held_out)


@pytest.mark.parametrize("showings", [0, 100, 999, 1_000, 2_000, 5_000, 100_000])
@pytest.mark.parametrize("saves", [(10,), tuple(range(10, 101, 10))])
def test_measuring_costs_at_most_its_share(showings: int, saves: tuple[int, ...], tmp_path: Path) -> None:
    found = measuring(*plan(tmp_path), showings, saves)
    passes = CAPTIONS * len(found.pictures) * found.draws * (len(found.steps) + 1)
    assert passes <= SHARE * STEP * showings
    assert (found == NOTHING) == (showings < 1_000), "ten pictures with two captions, before and now"
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
    found = losses(MISLABELLED)
    picture_losses.write(tmp_path, found)
    assert picture_losses.read(tmp_path) == found
    picture_losses.forget_after(tmp_path, 30)
    assert picture_losses.read(tmp_path) == found.until(30)
    path = tmp_path / picture_losses.FILE
    whole = path.read_text()
    for damaged in ("", "[]", "{}", whole[:-9], whole.replace('"draws": 4', '"draws": "x"'), '{"steps": 3}'):
        path.write_text(damaged)
        assert picture_losses.read(tmp_path) is None
    picture_losses.forget_after(tmp_path, 30)
