"""The loss of each instance picture, before and now: which pictures are hard, memorized or mislabelled.

Noise and timesteps are the same each time, so that only the weights change a picture's loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from statistics import median
from typing import Literal

from ..dataset.plan import Plan
from ..recipe import Recipe
from ..run_folder.picture_losses import MeasuredPicture, PictureLosses

Finding = Literal["", "hard", "memorized", "mislabelled"]

FINDINGS: dict[str, str] = {
    "mislabelled": "With the concept's name alone as caption, its loss rose or stayed while the others' fell: it may "
    "not show what its caption says. Check the caption, or remove the picture.",
    "hard": "Its loss stays high: the model has trouble with it. Check that it is sharp and shows the concept, and "
    "describe in its caption what is unusual.",
    "memorized": "Its loss fell far more than the others': the model learns it by heart. Lower its repeats, remove "
    "duplicates of it, or train with fewer steps.",
}
SHARE = 0.02
"""Most of a run's time that measuring may take."""
CAPTIONS = 2
"""A picture is measured with its own caption, and with the phrase that calls its concept."""
STEP = 2.0
"""Forward passes that a picture's showing in a step costs at least: its own, and one for the gradients."""


LEAST = 6
"""Trained pictures of a concept below which nothing is said of any."""
SURE, LIKELY = (4.0, 20.0), (3.25, 10.0)
"""Robust standard deviations from the median at which a picture stands out, and how many more, divided by the number of
pictures: of few, the spread is little known. With ``SURE``, one of 100 datasets whose falls are normal has a picture
that stands out by chance; ``LIKELY`` is for those whose loss rose or stayed while the usual one fell."""
NORMAL = 1.4826
"""Standard deviations of a normal distribution in the median distance from its median."""
LEAST_SPREAD = 0.08
"""Standard deviation of the logarithm of losses that is assumed at least."""
FALLEN, STAYED, FAR = 1.15, 1.03, 2.0
"""How many times smaller a loss has become: the usual one at least, before any is called mislabelled; that of a
mislabelled picture at most; that of a memorized one at least."""


@dataclass(frozen=True)
class Measuring:
    """What is measured: ``pictures``, indices into the scan's; ``draws`` of noise and timestep for each; after which
    ``steps``, besides the start.
    """

    pictures: tuple[int, ...]
    draws: int
    steps: frozenset[int]


@dataclass(frozen=True)
class RatedPicture:
    """A picture's loss at the first and at the last measured step; None where it was NaN or infinite. ``called``: both
    with the concept's phrase alone as caption.
    """

    picture: MeasuredPicture
    before: float | None
    now: float | None
    called: tuple[float | None, float | None]
    finding: Finding = ""

    @property
    def fall(self) -> float:
        """Return the logarithm of how many times smaller the loss is now; NaN where that isn't known."""
        return _fall(self.before, self.now)

    @property
    def called_fall(self) -> float:
        """Return the same with the concept's phrase alone."""
        return _fall(*self.called)

    @property
    def level(self) -> float:
        """Return the logarithm of the loss now; NaN where that isn't known."""
        return math.log(self.now) if self.now else math.nan

    @property
    def change(self) -> float | None:
        """Return by which share of what it was the loss has changed: -0.25 is a quarter less."""
        return None if math.isnan(self.fall) else math.exp(-self.fall) - 1


def _fall(before: float | None, now: float | None) -> float:
    return math.nan if not before or not now else math.log(before / now)


NOTHING = Measuring((), 0, frozenset())


def measuring(recipe: Recipe, plan: Plan, showings: int, saves: Sequence[int]) -> Measuring:
    """Choose what is measured, so that it takes at most ``SHARE`` of the run; nothing in a run too short for that.

    ``showings``: pictures that all steps show, in this process. ``saves``: steps after which the schedule has a save,
    the last one included; where not all can be measured, they are evenly spread, and the last is among them.
    """
    chosen = _chosen(plan, recipe.watch.picture_losses)
    budget = SHARE * STEP * showings
    draws = min(recipe.watch.validation_draws, int(budget / (2 * CAPTIONS * len(chosen)))) if chosen else 0
    if not draws:
        return NOTHING
    count = min(int(budget / (CAPTIONS * len(chosen) * draws)) - 1, len(saves))
    steps = frozenset(saves[-(-(number + 1) * len(saves) // count) - 1] for number in range(count))
    return Measuring(tuple(chosen), draws, steps)


def measured_pictures(plan: Plan, pictures: Sequence[int]) -> tuple[MeasuredPicture, ...]:
    """Describe pictures of the plan's scan for the record of their losses."""
    found = [
        (plan.scan.pictures[index], plan.fixed_sample(index).caption, index in plan.held_out) for index in pictures
    ]
    return tuple(MeasuredPicture(str(one.path), one.concept, caption, held_out) for one, caption, held_out in found)


def _chosen(plan: Plan, most: int) -> list[int]:
    """Choose at most so many instance pictures of each concept, evenly spread over its folder."""
    found: list[int] = []
    for concept in range(len(plan.scan.concepts)):
        own = [index for index in plan.scan.instances if plan.scan.pictures[index].concept == concept]
        count = min(most, len(own))
        found += [own[number * len(own) // count] for number in range(count)]
    return found


def rated_pictures(losses: PictureLosses) -> list[RatedPicture]:
    """Compare each picture's losses at the first and at the last measured step, and say which stand out in their
    concept.
    """
    if not losses.steps:
        return []
    first, last = min(losses.steps), max(losses.steps)
    called = zip(losses.called[first], losses.called[last], strict=True)
    both = zip(losses.pictures, losses.steps[first], losses.steps[last], called, strict=True)
    found = [RatedPicture(*one) for one in both]
    for concept in {one.picture.concept for one in found} if last > first else ():
        known = [i for i, one in enumerate(found) if not math.isnan(one.fall + one.called_fall)]
        own = [i for i in known if found[i].picture.concept == concept]
        for i, finding in zip(own, _findings([found[i] for i in own]), strict=True):
            found[i] = replace(found[i], finding=finding)
    return found


def _findings(pictures: Sequence[RatedPicture]) -> list[Finding]:
    """Judge the pictures of a concept by robust z-scores: how far each is from the median of those that are trained,
    in standard deviations that their median distance from it stands for.

    With its own caption, a mislabelled picture is learned by heart like any other; with the phrase that it shares with
    the others, it must look like them.
    """
    trained = [one for one in pictures if not one.picture.held_out]
    if len(trained) < LEAST:
        return [""] * len(pictures)
    falls, levels, called = (
        _Usual([value(one) for one in trained])
        for value in (attrgetter("fall"), attrgetter("level"), attrgetter("called_fall"))
    )
    others = [one.fall for one in pictures if one.picture.held_out]
    unseen = _Usual(others) if len(others) >= LEAST else falls

    sure, likely = (limit + more / len(trained) for limit, more in (SURE, LIKELY))

    def finding(one: RatedPicture) -> Finding:
        stayed = one.called_fall <= math.log(STAYED) and -called.score(one.called_fall) >= likely
        if called.median >= math.log(FALLEN) and stayed:
            return "mislabelled"
        if one.picture.held_out:  # nothing is learned of it: its loss stays higher
            return ""
        if levels.score(one.level) >= sure:
            return "hard"
        if one.fall >= math.log(FAR) and unseen.score(one.fall) >= sure:
            return "memorized"
        return ""

    return [finding(one) for one in pictures]


class _Usual:
    """What is usual among values: their median, and a spread that a few odd ones don't change."""

    def __init__(self, values: Sequence[float]) -> None:
        self.median = median(values)
        self.spread = max(NORMAL * median(abs(value - self.median) for value in values), LEAST_SPREAD)

    def score(self, value: float) -> float:
        """Return how many standard deviations a value is above the median."""
        return (value - self.median) / self.spread
