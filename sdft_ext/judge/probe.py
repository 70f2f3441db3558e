"""Tells pictures of a concept from all others, by rows of features: a ridge regression on very few examples.

What tells a concept must not be how its pictures were made: the negatives are drawn by the base model for the same
prompts without the trigger, as the judged pictures are drawn by the trained one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..recipe import Kind
from .features import Rows

Scores: TypeAlias = NDArray[np.float32]
"""[pictures]: 0 for pictures like the negatives, 1 for pictures like the instance pictures."""
RIDGE = 0.03
"""Weight of the penalty; chosen, like ``SHOWN``, on the tuning concepts of ``bench judge``."""
SHOWN: dict[Kind, float] = {"subject": 0.75, "style": 0.65}
"""A picture with at least this score shows the concept. Of a style that bleeds everywhere, a third of the
true pictures score between the two."""
LEAST = 2
"""Fewest pictures of either kind."""
LEAST_SPREAD = 1e-4


@dataclass(frozen=True)
class Probe:
    """A trained probe. ``own`` and ``others``: the scores of its positives and negatives, each by the others alone."""

    centre: Rows
    scale: Rows
    weights: Rows
    offset: float
    own: Scores
    others: Scores
    least: float
    """The score from which on a picture shows the concept."""

    def scores(self, rows: Rows) -> Scores:
        """Score pictures by their features [pictures, numbers]."""
        return np.asarray((rows - self.centre) / self.scale @ self.weights + self.offset, dtype=np.float32)

    def shown(self, rows: Rows) -> NDArray[np.bool_]:
        """Say of each picture whether it shows the concept."""
        return self.scores(rows) >= self.least


def train(positives: Rows, negatives: Rows, kind: Kind = "subject") -> Probe:
    """Train a probe on features of pictures that show the concept, and of pictures that don't.

    Both weigh the same, however many they are. Scores are scaled so that a negative has 0 and an instance picture 1 on
    average, where it is left out of the training (Allen 1974's PRESS, in closed form). Raises ValueError with fewer
    than two of either.
    """
    if min(len(positives), len(negatives)) < LEAST:
        raise ValueError("A probe needs two pictures of either kind at least.")
    rows = np.concatenate([positives, negatives]).astype(np.float64)
    centre, scale = negatives.mean(0).astype(np.float64), rows.std(0) + LEAST_SPREAD
    # The last column is the offset's.
    known = np.concatenate([(rows - centre) / scale, np.ones((len(rows), 1))], axis=1)
    known[:, :-1] /= np.sqrt(rows.shape[1])
    wanted = np.repeat([1.0, 0.0], [len(positives), len(negatives)])
    shares = np.repeat([0.5 / len(positives), 0.5 / len(negatives)], [len(positives), len(negatives)]) * len(rows)
    inverse = np.linalg.inv(known @ known.T + RIDGE * np.diag(1 / shares))
    dual = inverse @ wanted
    left_out = wanted - dual / np.diag(inverse)
    own, others = left_out[: len(positives)], left_out[len(positives) :]
    low, high = float(others.mean()), float(own.mean())
    span = max(high - low, LEAST_SPREAD)
    weights = known.T @ dual
    return Probe(
        centre.astype(np.float32),
        scale.astype(np.float32),
        (weights[:-1] / np.sqrt(rows.shape[1]) / span).astype(np.float32),
        float((weights[-1] - low) / span),
        ((own - low) / span).astype(np.float32),
        ((others - low) / span).astype(np.float32),
        SHOWN[kind],
    )
