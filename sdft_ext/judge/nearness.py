"""How near drawn pictures are to the instance pictures: a model that has learned pictures by heart draws them again.

Compared are latents, reduced to a coarse grid: a copy has the same things in the same places. Distances mean little by
themselves, so that each is told in the distances that instance pictures have to each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .features import Rows

COPY = 0.28
"""A picture nearer than this is a copy. Chosen on the star's runs of ``bench judge``, so that about as many pictures
count as copies as by their pixels."""
LEAST = 2
"""Fewest instance pictures that have distances to each other."""


class Nearest(NamedTuple):
    """The instance picture (its row) that is nearest to a drawn one, and how near: 0 for the same picture, 1 for as far
    as instance pictures usually are from the nearest other one.
    """

    picture: int
    distance: float

    @property
    def copy(self) -> bool:
        return self.distance < COPY


def nearest(drawn: Rows, instance: Rows) -> list[Nearest]:
    """Return the nearest instance picture of each drawn one, by their coarse grids; nothing with fewer than two
    instance pictures.

    The unit is the median of the instance pictures' distances to their nearest others. Copies among them don't count.
    """
    if len(instance) < LEAST:
        return []
    among = _distances(instance, instance)
    np.fill_diagonal(among, np.inf)
    own = among.min(1)
    unit = float(np.median(own[own > 1e-3 * float(np.median(own))])) if own.any() else 0.0
    if not unit:
        return []
    found = _distances(drawn, instance) / unit
    return [Nearest(int(row.argmin()), round(float(row.min()), 4)) for row in found]


def _distances(some: Rows, others: Rows) -> NDArray[np.float64]:
    """Return root mean square distances [some, others]."""
    return np.stack([np.sqrt(((others.astype(np.float64) - one) ** 2).mean(1)) for one in some])
