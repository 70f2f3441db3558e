"""Tells two saves apart by the same prompts and seeds, or says that they can't be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FLIPS = 4096
"""Random signs that are tried where there are more pictures than for all."""
ALL = 12
"""At most so many pairs are tried with all signs."""
SURE = 0.05


class Difference(NamedTuple):
    """How much better the second save is, on average over the pairs, and how often chance alone does as much."""

    value: float
    chance: float

    @property
    def apart(self) -> bool:
        return self.chance < SURE


def difference(pairs: Sequence[tuple[float, float]]) -> Difference:
    """Compare two saves by pairs of values, each of the same prompt and seed.

    If both were alike, each difference might as well have the other sign: counted is how many choices of signs give at
    least as large a mean (Fisher's randomization test, "The Design of Experiments", 1935). Equal pairs say nothing.
    """
    found = np.array([later - earlier for earlier, later in pairs], dtype=np.float64)
    if not found.any():
        return Difference(0.0, 1.0)
    changed = found[found != 0]
    if len(changed) <= ALL:
        signs = 1 - 2 * (np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1)
    else:
        signs = np.random.default_rng(0).choice([-1, 1], (FLIPS, len(changed)))
        signs[0] = 1
    at_least = np.abs(signs @ changed) >= abs(changed.sum()) - 1e-9
    return Difference(float(found.mean()), float(at_least.mean()))
