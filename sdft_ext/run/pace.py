"""How fast a run goes, and from that the time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median_low

from ..run_folder.facts import read_facts
from ..storage import json_file
from ..watch.painter import GRID_SAVES
from .disk import BYTES_PER_SECOND, MB, DiskUse
from .schedule import Schedule

PREVIEWS = ("controls", "judging", "dataset")
"""Work whose durations are remembered for the forecasts of later runs: the dataset is described once."""

RECENT_STEPS = 50
"""Steps whose durations count: the pace changes when the text encoder stops training, or others use the GPU."""
WARM_UP = 5
"""The first steps, which are slow, don't count as soon as there are as many others: the model may be compiled, kernels
be tried, and files be read for the first time."""
ENOUGH_STEPS = 3
"""With fewer steps, the forecast is nearer: the first one is slow."""
RECENT_WORK = 5
"""Saves, control pictures and so on whose durations count, of each kind."""


class Pace:
    """The recent durations of steps, and of the work between them. Pauses belong to neither.

    Medians are used: a step that waits for another picture to be drawn, or for another model, says nothing of the rest.
    Of two the lower one is taken, as what is done for the first time is slow.
    ``expected``: the forecast's seconds for all steps of the run, 0 where there is none. ``now`` returns seconds.
    """

    def __init__(self, expected: float = 0.0, now: Callable[[], float] = time.perf_counter) -> None:
        self.expected, self._now = expected, now
        self._forecast: dict[str, float] = {}
        """Seconds that are expected of each kind of work until it is measured."""
        self._steps: deque[float] = deque(maxlen=RECENT_STEPS)
        self._measured = 0
        self.column = 1.0
        """Pictures in a column of the grid, as a share of the control pictures of a step: each prompt once."""
        self._work: dict[str, deque[float]] = {}

    @classmethod
    def of(cls, folder: Path) -> Pace:
        """Make the pace of a run, with the forecast that was noted when it was queued, and what it took before."""
        facts = read_facts(folder)
        found = facts.get("forecast_seconds")
        pace = cls(float(found) if isinstance(found, int | float) else 0.0)
        for previews in (facts.get("forecast_previews"), facts.get("previews")):
            if isinstance(previews, dict):
                known = {kind: json_file.number(previews, kind) for kind in PREVIEWS}
                pace._forecast |= {kind: seconds for kind, seconds in known.items() if seconds}
        return pace

    def expect_writing(self, use: DiskUse) -> None:
        """Expect this of saves and states until the first ones are written."""
        self._forecast |= {"save": use.save_mb * MB / BYTES_PER_SECOND, "state": use.state_mb * MB / BYTES_PER_SECOND}

    @contextmanager
    def step(self) -> Iterator[None]:
        """Measure one step; one that fails isn't counted."""
        began = self._now()
        yield
        self._steps.append(self._now() - began)
        self._measured += 1

    @contextmanager
    def work(self, kind: str) -> Iterator[None]:
        """Measure what is done between steps: "save", "state", "controls" (drawing them), "judging" (describing them),
        "validation", "pictures" (the losses of single ones); other kinds come but once.
        """
        began = self._now()
        yield
        self._work.setdefault(kind, deque(maxlen=RECENT_WORK)).append(self._now() - began)

    def seconds_left(self, schedule: Schedule, done: int) -> float:
        """Estimate the seconds until the end of the run after ``done`` steps, before the work due after them; 0 where
        nothing is known yet.
        """
        total = schedule.total_steps
        if len(self._steps) >= ENOUGH_STEPS:
            per_step = self._seconds_of_a_step()
        elif self.expected:
            per_step = self.expected / total
        else:
            return 0.0
        return per_step * (total - done) + seconds_of_work(schedule, done, self.seconds_of, self.column)

    def seconds_of(self, kind: str) -> float:
        """Give the recent duration of a kind of work, or what is expected of it; 0 where nothing is known."""
        measured = self._work.get(kind)
        return median_low(measured) if measured else self._forecast.get(kind, 0.0)

    def _seconds_of_a_step(self) -> float:
        forgotten = self._measured - len(self._steps)
        slow = min(max(WARM_UP - forgotten, 0), len(self._steps) // 2)
        return median_low(list(self._steps)[slow:])


def seconds_of_work(schedule: Schedule, done: int, seconds_of: Callable[[str], float], column: float) -> float:
    """Estimate the seconds of all work between the steps that is due after step ``done`` or later, and of the grid at
    the end, of which each column has as many pictures as the control pictures of a step, times ``column``.
    """
    due = schedule.left(done)
    due["judging"] = due["controls"]
    saves = len(schedule.saves_before_the_end) + 1
    columns = 1 + min(saves, schedule.recipe.save.keep_last or saves, GRID_SAVES)
    return sum(count * seconds_of(kind) for kind, count in due.items()) + columns * column * seconds_of("controls")
