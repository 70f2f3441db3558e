"""The concepts and runs on which the judge is proved are what they say."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from bench.judge import main
from bench.judge.compare import RunFigures, SaveFigures
from bench.judge.concepts import CONCEPTS
from bench.judge.runs import KINDS, SAVES, runs
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run.schedule import Schedule


@pytest.mark.parametrize("name", CONCEPTS)
def test_a_concept_is_read_off_its_own_pictures_and_off_no_other_concepts(name: str, tmp_path: Path) -> None:
    concept = CONCEPTS[name]
    assert all(concept.shows(concept.rendered(12)))
    for other in CONCEPTS.values():
        assert other is concept or sum(concept.shows(other.rendered(6))) <= 1, other.name
    concept.write(tmp_path / "few", 5)
    texts = [path.read_text().strip() for path in (tmp_path / "few").glob("*.txt")]
    trigger = concept.recipe(tmp_path / "few").dataset.concepts[0].trigger
    assert len(texts) == len(list((tmp_path / "few").glob("*.png"))) == 5 and all(trigger in text for text in texts)


def test_half_of_the_concepts_are_held_out() -> None:
    parts = Counter((one.part, one.kind) for one in CONCEPTS.values())
    assert parts["held-out", "subject"] >= 3 and parts["held-out", "style"] >= 2 and parts["tuning", "style"] >= 1


def test_every_run_has_a_recipe_that_may_train_and_six_saves(tmp_path: Path) -> None:
    names = [run.name for run in runs()]
    assert len(set(names)) == len(names) >= 36 and {run.kind for run in runs()} == set(KINDS)
    for run in runs():
        recipe = run.recipe(tmp_path, tmp_path)
        recipe_file.validate(recipe)
        schedule = Schedule(recipe, 10, recipe.train.length)
        assert len(schedule.saves_before_the_end) + 1 == SAVES, run.name


def test_the_command_lists_its_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == [run.name for run in runs()]


def test_errors_and_ranks_are_those_of_the_saves() -> None:
    saves = (SaveFigures(1, 0.0, 0.1, 0.0, 0.0), SaveFigures(2, 0.5, 0.4, 0.2, 0.0))
    figures = RunFigures("run", "tuning", 1.0, saves)
    assert figures.learned_error == pytest.approx(0.1) and figures.bleeding_error == pytest.approx(0.1)
    assert figures.learned_spearman == pytest.approx(1.0)
    assert math.isnan(figures.bleeding_spearman)  # the judge says the same of both
