"""A live run's numbers and verdict are those of its replayed recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.judge import recordings
from bench.judge.compare import compare, judged
from bench.judge.concepts import CONCEPTS
from bench.judge.runs import JudgedRun
from sdft_ext.judge.judge import Judge
from sdft_ext.run import train
from sdft_ext.run_folder import log, verdict
from sdft_ext.storage import json_file
from sdft_ext.watch.controls import Controls
from tests.run import tiny

SETTINGS = (
    "train.length=4",
    "save.every=1",
    "watch.judge=true",
    "watch.pictures=8",
    'watch.concept_prompts=["a sks cat", "sks"]',
    'watch.bleeding_prompts=["a cat", ""]',
    "watch.size=64",
)
TRUTH = {
    "shows": {"concept": [True], "class word": [False], "empty prompt": [False], "own captions": [False]},
    "distances": [1.0],
    "obeyed": {"colour": 1.0, "background": 1.0},
    "kept": {"colour": 1.0, "background": 1.0, "shape": 1.0},
}


@pytest.mark.parametrize("kind", ["subject", "style"])
def test_a_replayed_recording_says_what_the_live_run_said(kind: str, data: Path, tmp_path: Path) -> None:
    run = JudgedRun(CONCEPTS["star"], "good", 1)
    recipe = tiny.recipe(data, tmp_path, f"dataset.concepts.0.kind={kind}", *SETTINGS)
    result = train(recipe, folder=tmp_path / "work" / run.name, quiet=True)
    assert result.outcome == "finished", result.message
    lines = log.read(result.folder)
    told = {line["step"]: line for line in lines if line.get("event") == "judged" and line["step"]}
    saves = [{"step": step, "truth": TRUTH} for step in told]
    facts = {"outcome": result.outcome, "log": lines, "saves": saves}
    json_file.write(result.folder / "run.json", facts)
    made = recordings.from_work(run, tmp_path / "work")
    assert made is not None and len(told) == 4
    recordings.write(made, tmp_path / "recordings")
    kept = recordings.read(tmp_path / "recordings" / f"{run.name}.npz")
    live = Judge(result.folder, recipe, Controls(result.folder, recipe.watch)).all_numbers()
    scores = [[score for one in step.prompts for score in one.scores] for step in live]
    again = [[score for one in step.prompts for score in one.scores] for step in judged(kept)]
    assert np.corrcoef(np.ravel(scores), np.ravel(again))[0, 1] > 0.99
    replayed = compare(kept)
    for save in replayed.saves:
        for name in ("learned", "bleeding"):
            hits, of = told[save.step][name]
            assert getattr(save, f"judged_{name}") == pytest.approx(hits / of, abs=0.02), (save.step, name)
    found = verdict.read(result.folder)
    assert (replayed.verdict, replayed.recommended) == (found["word"], found["save"])
