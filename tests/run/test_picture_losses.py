"""The losses of single pictures in a run: without effect on the training, the same after a resume, never too dear."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdft_ext.control import RunControl
from sdft_ext.run import resume, train
from sdft_ext.run_folder import log, picture_losses
from sdft_ext.run_folder.picture_losses import PictureLosses
from sdft_ext.watch import picture_losses as measured
from tests.run import tiny
from tests.run.step_hooks import Between

OFTEN = ("train.length=4", "save.every=2", "save.state_every=2")


@pytest.fixture
def affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny runs are too short to measure anything."""
    monkeypatch.setattr(measured, "SHARE", 100.0)


def found(run: Path) -> PictureLosses:
    losses = picture_losses.read(run)
    assert losses is not None
    return losses


@pytest.mark.parametrize("more", [(), ("dataset.cache=none", "dataset.crop=random"), ("method.name=full",)])
def test_training_is_the_same_with_and_without_them(
    more: tuple[str, ...], data: Path, tmp_path: Path, affordable: None
) -> None:
    runs = []
    for count in (0, 64):
        out = tmp_path / str(count)
        recipe = tiny.recipe(data, out, *OFTEN, *more, f"watch.picture_losses={count}")
        result = train(recipe, folder=out / "run", quiet=True)
        assert result.outcome == "finished", result.message
        runs.append(result.folder)
    without, measuring = runs
    assert picture_losses.read(without) is None
    losses = found(measuring)
    assert list(losses.steps) == [0, 2, 4] and len(losses.pictures) == 6 and losses.draws == 4
    assert losses.steps[0] != losses.steps[4]
    trained = [line for line in tiny.losses(measuring) if "loss" in line]
    assert tiny.saved(without) == tiny.saved(measuring) and tiny.losses(without) == trained
    events = [line["step"] for line in log.read(measuring) if line.get("event") == "picture_losses"]
    assert events == [0, 2, 4]


def test_a_resumed_run_has_what_one_that_never_stopped_has(data: Path, tmp_path: Path, affordable: None) -> None:
    recipe = tiny.recipe(data, tmp_path, *OFTEN, "watch.picture_losses=3")
    assert train(recipe, folder=tmp_path / "whole", quiet=True).outcome == "finished"
    control, folder = RunControl(), tmp_path / "stopped"
    host = Between(recipe, folder, lambda done: control.stop() if done == 3 else None)
    assert train(recipe, folder=folder, control=control, host=host, quiet=True).outcome == "stopped"
    before = found(folder)
    assert list(before.steps) == [0, 2] and len(before.pictures) == 3
    # What a killed run has measured past its last state is measured again.
    picture_losses.write(folder, before.measured(4, [9.0, 9.0, float("nan")], [1.0] * 3))
    assert found(folder).steps[4] == (9.0, 9.0, None)
    assert resume(folder, quiet=True).outcome == "finished"
    assert found(folder) == found(tmp_path / "whole")


def test_a_run_that_measured_nothing_at_its_start_measures_nothing_later(
    data: Path, tmp_path: Path, affordable: None
) -> None:
    recipe = tiny.recipe(data, tmp_path, *OFTEN)
    control, folder = RunControl(), tmp_path / "run"
    host = Between(recipe, folder, lambda done: control.stop() if done == 3 else None)
    assert train(recipe, folder=folder, control=control, host=host, quiet=True).outcome == "stopped"
    (folder / picture_losses.FILE).unlink()
    assert resume(folder, quiet=True).outcome == "finished"
    assert picture_losses.read(folder) is None


def test_a_run_that_is_too_short_for_it_measures_nothing(data: Path, tmp_path: Path) -> None:
    result = train(tiny.recipe(data, tmp_path, *OFTEN), folder=tmp_path / "run", quiet=True)
    assert result.outcome == "finished" and picture_losses.read(result.folder) is None


def test_the_report_names_the_pictures_that_stand_out(
    data: Path, tmp_path: Path, affordable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny.recipe(data, tmp_path, *OFTEN)
    result = train(recipe, folder=tmp_path / "run", quiet=True)
    text = (result.folder / "report.md").read_text(encoding="utf-8")
    assert "The loss of 6 instance pictures was measured at step 0 and at step 4" in text
