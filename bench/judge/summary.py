"""What all runs together say about the judge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdft_ext.judge.compared import Compared, told_by
from sdft_ext.judge.shares import Share

from .compare import NEAR, RunFigures
from .recordings import NONE, Recording, read_calibration

SEEN = ("rendered", "base")


@dataclass(frozen=True)
class Calibration:
    """Shares of freshly rendered true pictures, and of the base's own, that a concept's probe takes for the concept;
    ``alone``: without regularization pictures.
    """

    concept: str
    rendered: float
    base: float
    rendered_alone: float
    base_alone: float


def calibrate(found: Recording) -> Calibration:
    """Measure the probe of a recorded run of all its concept's pictures."""
    calibration, shares = read_calibration(found.of), []
    seen = {name: told_by(found.concept, calibration[name], calibration.get(f"{name}-details")) for name in SEEN}
    for names in (("concept-0", "regularization"), ("concept-0",)):
        dataset = {name: rows for name, rows in found.dataset.items() if name.removesuffix("-details") in names}
        alone = {"regularization": NONE, "regularization-details": NONE}
        (of,) = Compared([found.concept], found.entries, {**alone, **dataset}, found.seen[0]).probes
        shares += [math.nan if of is None or rows is None else float(of.shown(rows).mean()) for rows in seen.values()]
    return Calibration(found.of, *shares)


def summary(figures: Sequence[RunFigures]) -> dict[str, Any]:
    """Return the figures of the proof: ``runs``; medians of the rank correlations within runs, and of the baselines';
    mean errors; shares of runs whose recommended save is nearly the best, with the baselines' last save, and whose
    verdict is right; ``false_diverged``: how many runs were ended that weren't broken.
    """
    judged = [one for one in figures if one.recommended is not None]
    recommended = [one.behind <= NEAR for one in judged]
    right = [one.verdict in one.right for one in figures if one.verdict]
    return {
        "runs": len(figures),
        "learned_spearman": _median(one.learned_spearman for one in judged),
        "bleeding_spearman": _median(one.bleeding_spearman for one in judged),
        "step_spearman": _median(one.step_spearman for one in judged),
        "training_loss_spearman": _median(one.training_loss_spearman for one in judged),
        "learned_error": _mean(one.learned_error for one in judged),
        "bleeding_error": _mean(one.bleeding_error for one in judged),
        "recommended_within": _share(recommended),
        "recommended_interval": _interval(recommended),
        "last_save_within": _share([one.last_behind <= NEAR for one in judged]),
        "last_is_best": _share([one.last_is_best for one in judged]),
        "verdict_right": _share(right),
        "verdict_interval": _interval(right),
        "verdicts": dict(sorted(Counter(one.truth for one in figures).items())),
        "false_diverged": sum(one.verdict == "diverged" and "diverged" not in one.right for one in figures),
    }


def _known(values: Iterable[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _median(values: Iterable[float]) -> float | None:
    known = _known(values)
    return float(np.median(known)) if known else None


def _mean(values: Iterable[float]) -> float | None:
    known = _known(values)
    return float(np.mean(known)) if known else None


def _share(hits: Sequence[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None


def _interval(hits: Sequence[bool]) -> tuple[float, float] | None:
    """Return the share's 95 % interval."""
    return Share(sum(hits), len(hits)).interval if hits else None
