"""Shares of counted pictures, with the interval that their number leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scipy.stats import binomtest


class Share(NamedTuple):
    """``hits`` of ``of`` pictures show something."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share, from 0 to 1."""
        return self.hits / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval (Wilson, "Probable inference", 1927), from 0 to 1."""
        found = binomtest(self.hits, self.of).proportion_ci(0.95, "wilson")
        return float(found.low), float(found.high)


def pooled(shares: Iterable[Sequence[int]]) -> Share:
    """Add the pictures of several runs up."""
    hits, of = zip(*shares, strict=True)
    return Share(sum(hits), sum(of))


def worst(groups: Iterable[Share]) -> Share:
    """Return the group with the largest share; of equal ones, the one with the higher upper bound."""
    return max(groups, key=lambda group: (group.value, group.interval[1]))
