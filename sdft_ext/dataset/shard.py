"""Several processes see one batch: each an equal part of its pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..recipe import TrainRecipe

Rows = TypeVar("Rows")
"""A list with one entry for each picture, or a tensor [B, …]."""


@dataclass(frozen=True)
class Part:
    """Part ``number`` (from 0) of ``count``. The whole batch is ``count`` times the recipe's."""

    number: int = 0
    count: int = 1

    def of(self, whole: Rows) -> Rows:
        """This part of what the whole batch has."""
        rows: Any = whole
        size = len(rows) // self.count
        part: Rows = rows[self.number * size : (self.number + 1) * size]
        return part

    def whole(self, train: TrainRecipe) -> TrainRecipe:
        """The settings with the whole batch's size: a run of one process that sees the same pictures."""
        return replace(train, batch_size=train.batch_size * self.count)


ALL = Part()
"""Of a run in one process."""
