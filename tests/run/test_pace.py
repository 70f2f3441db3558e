"""The time left follows from the steps' own durations: pauses, pictures and saves are counted apart."""

from __future__ import annotations

import time
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

EXAMPLE = Path(__file__).parents[2] / "assets" / "example" / "subject.yaml"


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


STARTS: dict[str, tuple[float, ...]] = {
    "one slow step": (12.0,),
    "a slow warm-up": (12.0, 8.0, 6.0, 5.0, 4.0, 3.0),  # a compiled model, kernels that are tried, a cold disk
    "pictures are encoded": (4.0, 1.0, 4.0, 1.0, 4.0, 1.0, 4.0),
}
"""The durations of the first steps, as multiples of the later ones'."""


def simulated(
    settings: tuple[str, ...], pauses: dict[int, float], start: tuple[float, ...], first_work: float = 1.0
) -> tuple[list[float], list[float]]:
    """Run a schedule on a clock of its own; return the estimate and the truth after each step, pauses to come left out.

    The first steps are slow (``start``), and the first work of each kind (by the factor ``first_work``); every seventh
    step waits for a picture of the host's.
    """
    clock, recipe = Clock(), recipe_file.override(Recipe(), list(settings))
    schedule = Schedule(recipe, 12, int(recipe.train.length))
    pace, total = Pace(now=clock), schedule.total_steps
    pace.expect_writing(DiskUse(1, 400.0, 100.0, 0.0))
    estimates, times, paused, seen = [], [], 0.0, set[str]()
    for done in range(1, total + 1):
        clock.spend(pauses.get(done, 0.0))
        paused += pauses.get(done, 0.0)
        with pace.step():
            clock.spend(0.5 * start[done - 1] if done <= len(start) else 0.9 if done % 7 == 0 else 0.5)
        estimates.append(pace.seconds_left(schedule, done))
        times.append(clock.now - paused)
        due = ["controls"] if done == 1 else []
        due += ["save"] if schedule.save(done) else []
        due += [*schedule.previews(done), *(["state"] if schedule.state(done) else [])]
        for kind in due:
            with pace.work(kind):
                clock.spend(SECONDS[kind] * (1.0 if kind in seen else first_work))
                seen.add(kind)
    columns = 1 + min(len(schedule.saves_before_the_end) + 1, recipe.save.keep_last or 99, 5)
    end = clock.now - paused + columns * SECONDS["controls"]
    return estimates, [end - at for at in times]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("pauses", [{}, {8: 3600.0}, {40: 10_000.0}])
def test_after_ten_steps_the_time_left_is_right_within_a_fifth(name: str, pauses: dict[int, float]) -> None:
    _check_from(10, *simulated(RUNS[name], pauses, STARTS["one slow step"]))


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_slow_start_says_nothing_of_the_rest(name: str, start: tuple[float, ...]) -> None:
    """First the program itself is slow: a compiled model, the first pictures that a GPU draws, a cold disk."""
    _check_from(10, *simulated(RUNS[name], {}, start, first_work=1.4))
    _check_from(10, *simulated(RUNS[name], {12: 3600.0}, start, first_work=1.4))


def test_a_new_pace_is_noticed_within_fifty_steps() -> None:
    """Steps take half as long where the text encoder stops training, and twice as long beside another program."""
    clock, schedule = Clock(), Schedule(recipe_file.override(Recipe(), ["save.every=0"]), 10, 1000)
    pace = Pace(now=clock)
    for done in range(1, 301):
        with pace.step():
            clock.spend(1.0 if done <= 250 else 0.5)
    assert pace.seconds_left(schedule, 300) == pytest.approx(0.5 * 700)


def _check_from(first: int, estimates: list[float], truth: list[float]) -> None:
    for step, (estimate, left) in enumerate(zip(estimates[first - 1 :], truth[first - 1 :], strict=True), first):
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


@pytest.mark.slow
@pytest.mark.timed
def test_the_toy_models_own_steps_tell_the_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real run on the example, on a clock of the seconds that it computes.

    Most of such a short run is pictures: of each step, described for the verdict, and the grid. The second that is
    allowed beside the fifth is for the report.
    """
    shown, training = dict[int, tuple[float, float]](), Display.training

    def note(self: Display, done: int, seconds_left: float, figures: str) -> None:
        shown[done] = (seconds_left, time.process_time())
        training(self, done, seconds_left, figures)

    monkeypatch.setattr(Display, "training", note)
    monkeypatch.setattr(Pace.__init__, "__defaults__", (0.0, time.process_time))
    given = (
        "train.length=24",
        "train.batch_size=4",
        "save.every=2",
        "save.every_unit=times",
        f"save.output={tmp_path}",
    )
    recipe = recipe_file.override(recipe_file.read(EXAMPLE), list(given))
    assert train(recipe, folder=tmp_path / "run", quiet=True).outcome == "finished"
    end = time.process_time()
    for done in range(10, 25):
        estimate, at = shown[done]
        assert abs(estimate - (end - at)) <= 0.2 * (end - at) + 1, (
            f"step {done}: {estimate:.1f} s, not {end - at:.1f} s"
        )
