"""States of a run: as often as they cost little time, and never more than two."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from sdft_ext.run import checkpoint, train
from sdft_ext.run_folder import state
from tests.run import tiny
from tests.run.step_hooks import Between


class Time:
    """A clock that a test sets: a step takes ``step`` seconds, a state ``write``."""

    def __init__(self, step: float, write: float) -> None:
        self.now, self.step, self.write = 0.0, step, write

    def monotonic(self) -> float:
        return self.now


def states(data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, time: Time, *settings: str) -> list[int]:
    """Train 40 steps; the steps after which a state was written."""
    written: list[int] = []
    real = state.write

    def slow(place: Path, step: int, tree: object) -> Path:
        time.now += time.write
        written.append(step)
        return real(place, step, tree)  # type: ignore[arg-type]

    def step(done: int) -> None:
        time.now += time.step

    recipe = tiny.recipe(data, folder, "train.length=40", "save.every=0", *settings)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "time", time)
        patched.setattr(state, "write", slow)
        host = Between(recipe, folder / "run", step)
        assert train(recipe, folder=folder / "run", host=host, quiet=True).outcome == "finished"
    assert len(state.states(folder / "run" / "state")) <= state.KEEP
    return written


def test_quick_states_are_written_every_minute(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = states(data, tmp_path, monkeypatch, Time(step=25, write=0.1))
    assert len(found) in (13, 14) and found[-1] == 40
    assert {after - before for before, after in pairwise(found[:-1])} == {3}


def test_slow_states_take_at_most_their_share(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(step=100, write=30)
    found = states(data, tmp_path, monkeypatch, time)
    assert 2 <= len(found) <= 5 and time.write * (len(found) - 1) <= 0.02 * 40 * time.step + time.write
    often = Time(step=100, write=30)
    assert len(states(data, tmp_path / "often", monkeypatch, often, "save.state_share=20")) > 2 * len(found)


def test_none_are_written_by_time_where_that_is_off(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert states(data, tmp_path, monkeypatch, Time(1000, 0.1), "save.state_share=0") == [40]
    assert states(data, tmp_path / "every", monkeypatch, Time(0, 0.1), "save.state_every=15") == [15, 30, 40]
