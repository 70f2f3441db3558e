"""Ratings that a step's numbers propose for single control pictures: the user decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .numbers import RAMP, Numbers
from .verdict import STIFF


class Proposal(NamedTuple):
    """A rating (``watch.ratings``) for a control picture by its set and number, and why."""

    set: str
    number: int
    rating: str
    text: str


def proposals(numbers: Numbers, entries: Sequence[tuple[str, int, str]]) -> list[Proposal]:
    """Propose ratings for the control pictures of a step. ``entries``: (set, number, prompt) of each."""
    above, called = _above(numbers, entries)
    obedience = numbers.freedom.obedience
    stiff = obedience is not None and obedience < STIFF["obedience"]
    copies = dict(zip((i for i in range(len(entries)) if called[i]), numbers.nearest, strict=False))
    found = []
    for i, (name, number, _) in enumerate(entries):
        if not called[i] and above[i] >= 0:
            found.append(Proposal(name, number, "unprompted", "It shows the concept without the trigger."))
        elif called[i] and i in copies and copies[i].copy:
            found.append(Proposal(name, number, "ignored", "It repeats an instance picture."))
        elif called[i] and stiff:
            found.append(Proposal(name, number, "ignored", "Prompts hardly change the pictures any more."))
        elif called[i] and above[i] < -RAMP:
            found.append(Proposal(name, number, "unlike", "It doesn't show the concept."))
    return found


def _above(numbers: Numbers, entries: Sequence[tuple[str, int, str]]) -> tuple[list[float], list[bool]]:
    """Return how far the score of each picture is above that from which on it shows a concept, and whether its prompt
    calls one: of the concepts that it calls, the least, else the most of all.
    """
    scores: list[list[tuple[bool, float]]] = [[] for _ in entries]
    for one in numbers.prompts:
        own = [i for i, (name, _, prompt) in enumerate(entries) if (name, prompt) == (one.set, one.prompt)]
        for i, score in zip(own, one.scores, strict=True):
            scores[i].append((one.called, score - one.least))
    called = [any(was for was, _ in found) for found in scores]
    values = [
        min(score for was, score in found if was)
        if is_called
        else max((score for _, score in found), default=-math.inf)
        for found, is_called in zip(scores, called, strict=True)
    ]
    return values, called
