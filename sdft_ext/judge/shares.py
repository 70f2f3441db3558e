"""Shares of counted pictures, with the interval that their number leaves open."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

NORMAL = 1.959964
"""Standard deviations on either side that hold 95 % of a normal distribution."""


class Share(NamedTuple):
    """``hits`` of ``of`` pictures show something."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share, from 0 to 1; NaN of no pictures."""
        return self.hits / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval (Wilson, "Probable inference", 1927), from 0 to 1; all of it for no pictures."""
        if not self.of:
            return 0.0, 1.0
        square = NORMAL**2 / self.of
        middle = (self.value + square / 2) / (1 + square)
        half = NORMAL / (1 + square) * math.sqrt(self.value * (1 - self.value) / self.of + square / 4 / self.of)
        return max(middle - half, 0.0), min(middle + half, 1.0)


def pooled(shares: Iterable[Sequence[int]]) -> Share:
    """Add the pictures of several groups up."""
    hits, of = zip(*shares, strict=True)
    return Share(sum(hits), sum(of))


def worst(groups: Iterable[Share]) -> Share:
    """Return the group with the largest share; of equal ones, the one with the higher upper bound."""
    return max(groups, key=lambda group: (group.value, group.interval[1]))
