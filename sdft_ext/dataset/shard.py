"""Shard a batch over several processes: each gets an equal number of its pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..recipe import TrainRecipe

Rows = TypeVar("Rows")
"""A list with one entry for each picture, or a tensor [B, …]."""


@dataclass(frozen=True)
class Shard:
    """Shard ``number`` (from 0) of ``count``. The whole batch is ``count`` times as large as the recipe's."""

    number: int = 0
    count: int = 1

    def of(self, whole: Rows) -> Rows:
        """Return this shard's rows of the whole batch's."""
        rows: Any = whole
        size = len(rows) // self.count
        own: Rows = rows[self.number * size : (self.number + 1) * size]
        return own

    def whole(self, train: TrainRecipe) -> TrainRecipe:
        """Return the settings with the whole batch's size: those of one process that sees the same pictures."""
        return replace(train, batch_size=train.batch_size * self.count)


ALL = Shard()
"""The only shard of a run in one process."""
