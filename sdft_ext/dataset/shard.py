"""Shard a batch over several processes: each gets an equal number of its pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..recipe import TrainRecipe

Rows = TypeVar("Rows")
"""A list with one entry for each picture, or a tensor [B, …]."""


@dataclass(frozen=True)
class Shard:
    """Shard ``number`` (from 0) of ``count``; the whole batch is ``count`` times the recipe's batch size."""

    number: int = 0
    count: int = 1

    def of(self, whole: Rows) -> Rows:
        """Return this shard's rows of the whole batch's."""
        rows: Any = whole
        size = len(rows) // self.count
        own: Rows = rows[self.number * size : (self.number + 1) * size]
        return own

    def whole_batch(self, train: TrainRecipe) -> TrainRecipe:
        """Return the settings with the whole batch's size, as one process would need to see the same pictures."""
        return replace(train, batch_size=train.batch_size * self.count)


ALL = Shard()
"""The only shard of a run in one process."""
