"""What a run does with the verdict on its saves: it ends early where it is to, and it knows one without a judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdft_ext.judge.judge import Judge
from sdft_ext.run import resume, train
from sdft_ext.run_folder import log, verdict
from sdft_ext.storage import json_file
from sdft_ext.watch import picture_losses as measured
from tests.judge.test_verdict import save
from tests.run import tiny

OFTEN = ("train.length=6", "save.every=1", "save.state_every=1", "watch.pictures=1", "watch.judge=true")
PROMPTS = ('watch.concept_prompts=["a sks cat"]', 'watch.bleeding_prompts=["a cat"]')


@pytest.fixture
def worse_and_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first save shows the concept, and no later one does."""
    steps = [save(0, 0), save(1, 1), *(save(step, 0) for step in range(2, 7))]
    monkeypatch.setattr(
        Judge, "all_numbers", lambda self: [one for one in steps if one.step <= max(self.steps(), default=0)]
    )


def steps(run: Path) -> int:
    return max(line["step"] for line in log.read(run) if "loss" in line)


@pytest.mark.parametrize("early", [True, False])
def test_a_run_ends_when_its_last_two_saves_are_surely_worse(
    early: bool, data: Path, tmp_path: Path, worse_and_worse: None
) -> None:
    recipe = tiny.recipe(data, tmp_path, *OFTEN, *PROMPTS, f"watch.stop_early={early}".lower())
    result = train(recipe, folder=tmp_path / "run", quiet=True)
    assert (result.outcome, steps(result.folder)) == (("stopped", 3) if early else ("finished", 6)), result.message
    assert ("watch.stop_early" in result.message) == early
    assert verdict.recommended(result.folder) == 1
    if early:
        assert (tmp_path / "run" / "saves" / "index.json").exists() and len(result.saves) == 3
        again = resume(result.folder, quiet=True)
        assert (again.outcome, steps(result.folder)) == ("finished", 6), "who resumes it wants it to go on"


def test_without_a_trigger_the_loss_recommends_a_save(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "SHARE", 100.0)
    recipe = tiny.recipe(data, tmp_path, "train.length=4", "save.every=2", "dataset.concepts.0.trigger=")
    result = train(recipe, folder=tmp_path / "run", quiet=True)
    assert result.outcome == "finished", result.message
    lines = log.read(result.folder)
    stable = {line["step"]: line["validation/training"] for line in lines if "validation/training" in line}
    losses = json_file.read(result.folder / "picture_losses.json")["steps"]
    assert stable == {int(step): pytest.approx(sum(values) / len(values)) for step, values in losses.items()}
    lowest = min((step for step in stable if step), key=lambda step: stable[step])
    found = verdict.read(result.folder)
    assert (found["word"], found["save"]) == ("fine", lowest)
    assert f"lowest at step {lowest}" in found["text"]
