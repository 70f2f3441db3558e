"""The work after the last step takes time, and the status names it."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdft_ext.host.standalone import StandaloneHost
from sdft_ext.recipe import Recipe
from sdft_ext.run import proof, run, train
from sdft_ext.run.setup import Session
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.run_folder.saves import Saves
from sdft_ext.watch import painter
from tests.run import tiny


class Noting(StandaloneHost):
    """Records the run's status at each of its turns."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        super().__init__(recipe.model)
        self.folder, self.seen = folder, list[dict[str, Any]]()

    @contextmanager
    def turn(self) -> Iterator[None]:
        self.seen.append(json.loads((self.folder / "status.json").read_text(encoding="utf-8")))
        with super().turn():
            yield


def test_the_grid_is_not_a_training_step(data: Path, tmp_path: Path) -> None:
    words = ("watch.concept_prompts=[a sks cat, a cat]", "watch.every=0", "watch.size=64")
    recipe = tiny.recipe(data, tmp_path, *words)
    host = Noting(recipe, tmp_path / "run")
    assert train(recipe, folder=tmp_path / "run", host=host, quiet=True).outcome == "finished"
    last = [status for status in host.seen if status["state"] == "drawing"]
    assert last == host.seen[-len(last) :], "nothing trains after it"
    assert {(status["step"], status["total"]) for status in last} == {(4, 4)}
    assert "The last save is being verified" in last[0]["message"]
    shown = [status["message"] for status in last if "Grid" in status["message"]]
    assert "Grid: base model (2 of 2 pictures)." in shown[0] and "Grid: step 4" in shown[-1]
    assert {status["state"] for status in host.seen[: -len(last)]} <= {"preparing", "training"}


@pytest.mark.parametrize("name", ["lora", "full", "pivotal"])
def test_what_only_the_training_needed_is_gone_when_pictures_need_the_room(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that just holds the steps would be too full for a whole model's save, and the run would fail at its very
    end.
    """
    recipe = tiny.recipe(data, tmp_path, f"method.name={name}", "train.ema=0.9", "train.length=2")
    kept: list[weakref.ref[Tensor]] = []
    looked, alive = run.prove_and_draw_grid, list[int]()
    prove = proof.prove

    def look_back(session: Session, *arguments: Any) -> None:
        loop = session.loop
        state = [value for entry in loop.optimizer.state.values() for value in entry.values()]
        kept.extend(map(weakref.ref, [*loop.parameters, *loop.ema.mean, *state]))  # type: ignore[union-attr]
        del loop, state
        looked(session, *arguments)

    def proves(session: Session, saves: Saves, in_memory: Tensor) -> None:
        alive.append(sum(one() is not None for one in kept))
        prove(session, saves, in_memory)

    monkeypatch.setattr(run, "prove_and_draw_grid", look_back)
    monkeypatch.setattr(proof, "prove", proves)
    result = train(recipe, quiet=True)
    assert result.outcome == "finished", result.message
    assert len(kept) > 10 and alive == [0]


def test_a_grid_that_does_not_fit_is_noted_and_the_run_has_finished(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was trained is saved and proven; going on would change nothing."""
    real = run.prove_and_draw_grid

    def full(*_: Any, **__: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    def look_back(*arguments: Any) -> None:
        monkeypatch.setattr(painter, "sample", full)
        real(*arguments)

    monkeypatch.setattr(run, "prove_and_draw_grid", look_back)
    result = train(tiny.recipe(data, tmp_path, "train.length=1", "watch.concept_prompts=[a cat]"), quiet=True)
    facts = read_facts(result.folder)
    assert result.outcome == "finished" and facts["readback_max_diff"] < 1e-3, result.message
    assert any(note.startswith("There is no grid of the saves. ") and "watch.size" in note for note in facts["notes"])
