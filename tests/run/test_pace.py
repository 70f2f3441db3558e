"""The time left follows from the steps' own durations: pauses, pictures and saves are counted apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import pace as pace_module
from sdft_ext.run import train
from sdft_ext.run.disk import DiskUse
from sdft_ext.run.display import Display
from sdft_ext.run.pace import Pace
from sdft_ext.run.schedule import Schedule
from sdft_ext.run_folder.facts import add_facts
from sdft_ext.train.loop import Loop
from sdft_ext.watch.painter import Painter
from tests.run import tiny


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


SECONDS = {"save": 3.0, "state": 1.0, "controls": 20.0, "validation": 4.0}
RUNS: dict[str, tuple[str, ...]] = {
    "long": ("train.length=1000", "watch.every=100", "save.every=4", "save.every_unit=times"),
    "mostly pictures": ("train.length=60", "watch.every=5", "save.every=0"),
    "pictures with saves": ("train.length=300", "watch.every=0", "save.every=50", "save.every_unit=steps"),
    "validated": ("train.length=200", "watch.validation_every=20", "watch.every=0", "save.keep_last=1"),
}


def simulated(settings: tuple[str, ...], pauses: dict[int, float]) -> tuple[list[float], list[float]]:
    """Run a schedule on a clock of its own; return the estimate and the truth after each step, pauses to come left out.

    The first step is slow, every seventh one waits for a picture of the host's.
    """
    clock, recipe = Clock(), recipe_file.override(Recipe(), list(settings))
    schedule = Schedule(recipe, 12, int(recipe.train.length))
    pace, total = Pace(now=clock), schedule.total_steps
    pace.expect_writing(DiskUse(1, 400.0, 100.0, 0.0))
    estimates, times, paused = [], [], 0.0
    for done in range(1, total + 1):
        clock.spend(pauses.get(done, 0.0))
        paused += pauses.get(done, 0.0)
        with pace.step():
            clock.spend(6.0 if done == 1 else 0.9 if done % 7 == 0 else 0.5)
        estimates.append(pace.seconds_left(schedule, done))
        times.append(clock.now - paused)
        due = ["controls"] if done == 1 else []
        due += ["save"] if schedule.save(done) else []
        due += [*schedule.previews(done), *(["state"] if schedule.state(done) else [])]
        for kind in due:
            with pace.work(kind):
                clock.spend(SECONDS[kind])
    columns = 1 + min(len(schedule.saves_before_the_end) + 1, recipe.save.keep_last or 99, 5)
    end = clock.now - paused + columns * SECONDS["controls"]
    return estimates, [end - at for at in times]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("pauses", [{}, {8: 3600.0}, {40: 10_000.0}])
def test_after_ten_steps_the_time_left_is_right_within_a_fifth(name: str, pauses: dict[int, float]) -> None:
    estimates, truth = simulated(RUNS[name], pauses)
    for step, (estimate, left) in enumerate(zip(estimates[9:], truth[9:], strict=True), 10):
        assert abs(estimate - left) <= 0.2 * left, f"step {step}: {estimate:.0f} s instead of {left:.0f} s"


def test_before_the_first_steps_the_forecast_counts() -> None:
    clock, schedule = Clock(), Schedule(recipe_file.override(Recipe(), ["save.every=0"]), 10, 100)
    without, with_forecast = Pace(now=clock), Pace(expected=50.0, now=clock)
    for pace in (without, with_forecast):
        with pace.step():
            clock.spend(30.0)
    assert without.seconds_left(schedule, 1) == 0
    assert with_forecast.seconds_left(schedule, 1) == pytest.approx(49.5)
    for _ in range(5):
        with with_forecast.step():
            clock.spend(2.0)
    assert with_forecast.seconds_left(schedule, 6) == pytest.approx(2.0 * 94)


def test_a_step_that_fails_is_not_counted() -> None:
    clock = Clock()
    pace = Pace(now=clock)
    for _ in range(pace_module.ENOUGH_STEPS):
        with pytest.raises(RuntimeError), pace.step():
            raise RuntimeError("the model is gone")
    assert pace.seconds_left(Schedule(Recipe(), 1, 10), 3) == 0


@pytest.mark.parametrize("settings", RUNS.values())
@pytest.mark.parametrize("extra", [(), ("save.first_epoch=3",), ("save.state_every=30",)])
def test_what_is_left_is_counted_without_walking_the_steps(settings: tuple[str, ...], extra: tuple[str, ...]) -> None:
    recipe = recipe_file.override(Recipe(), [*settings, *extra])
    schedule = Schedule(recipe, 12, int(recipe.train.length))
    steps = range(1, schedule.total_steps + 1)
    for done in (0, 1, 7, 50, 59, schedule.total_steps):
        left, rest = schedule.left(done), [step for step in steps if step >= done]
        assert left["save"] == sum(map(schedule.save, rest))
        assert left["controls"] == sum(map(schedule.controls, rest))
        assert left["validation"] == sum(map(schedule.validation, rest))
        states = sum(map(schedule.state, rest))
        assert states <= left["state"] <= states + left["save"], "a state with a save may be counted twice"


def test_a_whole_run_knows_how_long_it_takes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 2 s, control pictures of 30 s, a pause of an hour: after ten steps the time left is right."""
    (
        clock,
        shown,
    ) = Clock(), dict[int, tuple[float, float]]()
    step, draw, training = Loop.step, Painter.draw, Display.training

    def slow_step(self: Loop, number: int) -> Any:
        clock.spend(20.0 if number == 0 else 2.0)
        return step(self, number)

    def slow_draw(self: Painter, *args: Any) -> Any:
        clock.spend(30.0)
        return draw(self, *args)

    def note(self: Display, done: int, seconds_left: float, figures: str) -> None:
        shown[done] = (seconds_left, clock.now)
        training(self, done, seconds_left, figures)
        if done == 14:
            clock.spend(3600.0)  # as in a pause, after which steps go on

    monkeypatch.setattr(Loop, "step", slow_step)
    monkeypatch.setattr(Painter, "draw", slow_draw)
    monkeypatch.setattr(Display, "training", note)
    monkeypatch.setattr(Pace.__init__, "__defaults__", (0.0, clock))
    settings = ("train.length=30", "watch.every=10", "save.every=2", "save.every_unit=times")
    recipe = tiny.recipe(data, tmp_path, *settings, 'watch.concept_prompts=["a cat"]')
    folder = tmp_path / "run"
    folder.mkdir()
    add_facts(folder, forecast_seconds=90.0)
    assert train(recipe, folder=folder, quiet=True).outcome == "finished"
    assert shown[1][0] >= 90.0 * 29 / 30, "the forecast's figure, and the work between the steps"
    for done in range(10, 31):
        left, at = shown[done]
        truth = clock.now - at - (3600.0 if done <= 14 else 0.0)
        assert abs(left - truth) <= 0.2 * truth, f"step {done}: {left:.0f} s instead of {truth:.0f} s"
