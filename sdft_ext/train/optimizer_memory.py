"""How many numbers an optimizer stores for what it trains: what its state takes in memory and on disk."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..recipe import OptimizerName

STATES: dict[OptimizerName, float] = {
    "adamw": 2.0,
    "adamw8bit": 0.5,
    "lion": 1.0,
    "prodigy": 4.0,
    "dadaptadam": 3.0,
    "adafactor": 1.1,
    "came": 2.1,
    "adamw_schedule_free": 2.0,
}
"""Numbers (of float32's size) that an optimizer stores for each trained one; for those that factor matrices into rows
and columns, with matrices as long as a LoRA's. A test counts them.
"""
FACTORED: dict[OptimizerName, tuple[float, int]] = {"adafactor": (0.5, 1), "came": (1.0, 2)}
"""Numbers that these store per trained one (adafactor's mean is in bfloat16), and pairs of rows and columns."""


def stored_numbers(
    optimizer: OptimizerName, trained: int, own_weights: Iterable[tuple[int, ...]] | None = None
) -> float:
    """Count the numbers (of float32's size) that an optimizer stores for so many ``trained`` ones.

    ``own_weights``: their shapes where the model's own weights train, for optimizers that factor matrices.
    """
    stored = FACTORED.get(optimizer)
    if stored is None or own_weights is None:
        return trained * STATES[optimizer]
    return sum(factored(shape, stored) for shape in own_weights)


def factored(shape: tuple[int, ...], stored: tuple[float, int]) -> float:
    """Count the numbers (of float32's size) that an optimizer of ``FACTORED`` stores for a weight of this shape."""
    mean, pairs = stored
    squares = pairs * (1 / shape[-1] + 1 / shape[-2]) if len(shape) > 1 else 1
    return math.prod(shape) * (mean + squares)
