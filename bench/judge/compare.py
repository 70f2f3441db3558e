"""Judges recorded runs as the program does while it trains, and puts the truth beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from sdft_ext.judge.compared import Compared
from sdft_ext.judge.features import Rows
from sdft_ext.judge.numbers import Numbers
from sdft_ext.judge.prompts import calls
from sdft_ext.judge.verdict import verdict

from .recordings import Recording
from .truth import SaveTruth, best, word_of, words

NEAR = 0.05
"""A save worth so little less than the best one is as good a recommendation."""


@dataclass(frozen=True)
class SaveFigures:
    """Shares of a save: the truth, and what the judge says from other pictures."""

    step: int
    learned: float
    judged_learned: float
    bleeding: float
    judged_bleeding: float
    worth: float
    judged_worth: float


@dataclass(frozen=True)
class RunFigures:
    """What the judge says of a run, and the truth. ``pictures``: judged of each set. ``recommended``: the step of the
    save; ``behind``: how much less it is worth than the best one. ``truth``: the verdict that it deserves; ``right``:
    those that are as good as true.
    """

    name: str
    part: str
    kind: str
    pictures: int
    saves: tuple[SaveFigures, ...]
    recommended: int | None
    behind: float
    last_behind: float
    last_is_best: bool
    verdict: str
    truth: str
    right: tuple[str, ...]
    training_loss_spearman: float

    @property
    def learned_error(self) -> float:
        return _mean([abs(one.learned - one.judged_learned) for one in self.saves])

    @property
    def bleeding_error(self) -> float:
        return _mean([abs(one.bleeding - one.judged_bleeding) for one in self.saves])

    @property
    def learned_spearman(self) -> float:
        return rank([(one.learned, one.judged_learned) for one in self.saves])

    @property
    def bleeding_spearman(self) -> float:
        return rank([(one.bleeding, one.judged_bleeding) for one in self.saves])

    @property
    def step_spearman(self) -> float:
        """Return the rank correlation of a baseline, the step, with *learned*."""
        return rank([(one.learned, one.step) for one in self.saves])

    def plain(self) -> dict[str, Any]:
        figures = ("learned_error", "bleeding_error", "learned_spearman", "bleeding_spearman", "step_spearman")
        return {**asdict(self), **{name: getattr(self, name) for name in figures}}


def judged(found: Recording, pictures: int | None = None) -> list[Numbers]:
    """Compute the numbers of each recorded step from its first ``pictures`` of each set (None: all)."""
    chosen = [i for i, (_, number, _) in enumerate(found.entries) if pictures is None or number < pictures]
    entries = [found.entries[i] for i in chosen]
    compared = Compared([found.concept], entries, found.dataset, _of(found.seen[0], chosen), found.captions)
    return [one for step in sorted(found.seen) if (one := _numbers(compared, found, step, chosen))]


def compare(found: Recording, pictures: int | None = None) -> RunFigures:
    """Judge a recorded run by its first ``pictures`` of each set (None: all) and put the truth beside it."""
    told = judged(found, pictures)
    of = told[0].prompts if told else ()
    steps, by_step = [save.step for save in found.saves], {one.step: one for one in told}
    come_to = verdict(told, steps)
    saves = [_figures(save, by_step[save.step]) for save in found.saves if save.step in by_step]
    failed = found.outcome == "failed"
    top = best(found.saves).worth if found.saves else math.nan
    at = {save.step: save.worth for save in found.saves}
    return RunFigures(
        found.name,
        found.part,
        found.kind,
        sum(len(one.scores) for one in of if one.set == "concept"),
        tuple(saves),
        come_to.step if come_to else None,
        top - at[come_to.step] if come_to else math.nan,
        top - found.saves[-1].worth if found.saves else math.nan,
        bool(found.saves) and best(found.saves) is found.saves[-1],
        "diverged" if failed else come_to.word if come_to else "",
        word_of(found.saves, failed),
        tuple(sorted(words(found.saves, failed))),
        rank([(save.learned, -_loss(found.losses, save.step)) for save in found.saves]),
    )


def _numbers(compared: Compared, found: Recording, step: int, chosen: Sequence[int]) -> Numbers | None:
    """Compute a step's numbers from the chosen pictures; the nearest instance pictures are known of all called ones."""
    called = [i for i, (_, _, prompt) in enumerate(found.entries) if calls(prompt, found.concept)]
    near = [one for i, one in zip(called, found.nearest[step], strict=False) if i in set(chosen)]
    return compared.numbers(step, _of(found.seen[step], chosen), near)


def _of(seen: Mapping[str, Rows], chosen: Sequence[int]) -> dict[str, Rows]:
    return {part: rows[list(chosen)] for part, rows in seen.items()}


def _figures(true: SaveTruth, told: Numbers) -> SaveFigures:
    learned, bleeding = told.least_learned.value, told.worst_bleeding.value
    return SaveFigures(true.step, true.learned, learned, true.bleeding, bleeding, true.worth, told.worth)


def _loss(losses: Sequence[float], step: int) -> float:
    """Return the mean training loss of the tenth of the run before a save, as a smoothed curve shows it."""
    window = max(len(losses) // 10, 1)
    return _mean(losses[max(step - window, 0) : step])


def rank(pairs: Sequence[tuple[float, float]]) -> float:
    """Return Spearman's rank correlation; NaN where one of the two never changes."""
    if len(pairs) < 2 or any(len(set(some)) < 2 for some in zip(*pairs, strict=True)):
        return math.nan
    truth, judged = zip(*pairs, strict=True)
    return float(spearmanr(truth, judged).statistic)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan
