"""The figures of ``bench strategies``: read, added up over the seeds, and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple, TypeAlias

from scipy.stats import t as student

from sdft_ext.judge.shares import Share, pooled
from sdft_ext.storage import json_file

COMMAND = "python -m bench strategies"
BASE = "base"
"""Name of the base's figures, before training."""
LEARNED = 0.8
"""Share of pictures that show the star from which on it counts as learned."""
SURE = 0.95
ENOUGH = 3
"""Runs of a row from which on their differences say how much runs differ."""

Runs: TypeAlias = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Of each row and of the base, by name and seed."""
What = Literal["star", "badge", "colour", "obeyed"]
When = Literal["all", "last", "learned"]
GROUPS = ("trigger", "own", "class word", "sentence", "asked")
"""Kinds of prompts."""


def read_figures(work: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Read the figures of all runs in the work folder."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for path in sorted(work.glob("*/seed-*/figures.json")):
        found.setdefault(path.parents[1].name, {})[int(path.parent.name.removeprefix("seed-"))] = json_file.read(path)
    return found


class Quantity(NamedTuple):
    """A share of pictures: of a row's runs, drawn for a group of prompts, that show something. ``when``: with the last
    save, with the first that has learned the star (else the last), or added up over all, which is more the earlier it
    is learned.
    """

    row: str
    group: str
    what: What
    when: When = "last"


class Effect(NamedTuple):
    """The difference between two shares, with its interval."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> int:
        """1 where it is surely above 0, -1 below, else 0."""
        return (self.low > 0) - (self.high < 0)


@dataclass(frozen=True)
class Figures:
    """The figures of all runs."""

    runs: Runs

    @property
    def seeds(self) -> int:
        return len(self.runs[BASE])

    def each(self, wanted: Quantity) -> list[Share]:
        """Return the share in each seed's run."""
        found = []
        for run in self.runs[wanted.row].values():
            groups = [save[wanted.group] for save in _saves(run, wanted.when).values()]
            found.append(pooled((group[wanted.what], group["of"]) for group in groups))
        return found

    def share(self, wanted: Quantity) -> Share:
        """Return the share of all seeds' pictures together."""
        return pooled(self.each(wanted))

    def effect(self, one: Quantity, other: Quantity) -> Effect:
        """Return by how much the first share is larger than the second."""
        return effect(self.each(one), self.each(other))

    def steps_to(self, row: str, group: str) -> list[float | None]:
        """Return for each seed the steps until the star is learned, between two saves by proportion; None: never."""
        found = []
        for run in self.runs[row].values():
            shares = {int(step): _star(save[group]) for step, save in run["saves"].items()}
            found.append(_crossing({0: 0.0, **shares}))
        return found

    def learned_at(self, row: str) -> list[int]:
        """Return for each seed the step of the save that first has learned the star, else of the last one."""
        return [int(step) for run in self.runs[row].values() for step in _saves(run, "learned")]

    def plain(self) -> dict[str, Any]:
        """Return the figures for a JSON file."""
        return {"strategies": self.runs}


def complete(runs: Runs, seeds: int) -> Figures:
    """Return the figures of the rows of which all runs are there, up to a number of seeds."""
    wanted = range(1, seeds + 1)
    return Figures({name: {s: found[s] for s in wanted} for name, found in runs.items() if found.keys() >= {*wanted}})


def effect(some: Sequence[Share], others: Sequence[Share]) -> Effect:
    """Return how much larger the first shares are, one pair for each seed, with the wider of two 95 % intervals.

    One is Student's over the differences of the seeds, from three on. The other counts the pictures (Newcombe,
    "Interval estimation for the difference between independent proportions", 1998, method 10): where all seeds happen
    to agree, Student's would have no width.
    """
    one, other = pooled(some), pooled(others)
    value = one.value - other.value
    (one_low, one_high), (other_low, other_high) = one.interval, other.interval
    down = math.hypot(one.value - one_low, other_high - other.value)
    up = math.hypot(one_high - one.value, other.value - other_low)
    differences = [first.value - second.value for first, second in zip(some, others, strict=True)]
    if len(differences) >= ENOUGH:
        half = float(student.ppf((1 + SURE) / 2, len(differences) - 1)) * stdev(differences)
        half /= math.sqrt(len(differences))
        middle = fmean(differences)
        down, up = max(down, value - middle + half), max(up, middle - value + half)
    return Effect(value, max(value - down, -1.0), min(value + up, 1.0))


def _crossing(shares: Mapping[int, float]) -> float | None:
    steps = sorted(shares)
    for before, after in pairwise(steps):
        if shares[after] >= LEARNED:
            return before + (after - before) * (LEARNED - shares[before]) / (shares[after] - shares[before])
    return None


def _saves(run: Mapping[str, Any], when: When) -> dict[str, Any]:
    saves: dict[str, Any] = run["saves"]
    if when == "all":
        return saves
    last = list(saves)[-1]
    if when == "learned":
        last = next((step for step, save in saves.items() if _star(save["own"]) >= LEARNED), last)
    return {last: saves[last]}


def _star(group: Mapping[str, int]) -> float:
    return group["star"] / group["of"]
