"""kohya's datasets and their subsets: a value is taken from the subset, else from its dataset, ``[general]``, and the
settings, as sd-scripts does (library/config_util.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .epochs import KohyaBuckets, Showing
from .files import FoundPicture
from .values import Values

ARGUMENTS = {"batch_size": "train_batch_size", "num_repeats": "dataset_repeats"}
"""Names of the settings that have another name in a dataset file."""


class Levels:
    """Tables of settings, the deciding one first; the last holds the settings file's, with its names."""

    def __init__(self, *tables: Values) -> None:
        self.tables = tables

    def place(self, name: str) -> tuple[Values, str]:
        """Return the table that decides a setting, and the setting's name there."""
        places = [(table, name) for table in self.tables[:-1]]
        places.append((self.tables[-1], ARGUMENTS.get(name, name)))
        having = [place for place in places if place[0].has(place[1])]
        return having[0] if having else places[-1]

    def name(self, name: str) -> str:
        table, own = self.place(name)
        return table.name(own)

    def get(self, kind: str, name: str, default: Any = None) -> Any:
        """Read a setting with the method ``kind`` of ``Values``."""
        table, own = self.place(name)
        read = getattr(table, kind)
        return read(own) if default is None else read(own, default)


@dataclass
class Subset:
    """A folder of pictures in one of kohya's datasets, from the setting ``name``.

    ``pictures``: None where they can't be counted.
    """

    levels: Levels
    name: str
    folder: str
    repeats: int
    regularization: bool
    tokens: str
    pictures: list[FoundPicture] | None

    @property
    def showings(self) -> list[Showing] | None:
        return None if self.pictures is None else [Showing(one, self.repeats) for one in self.pictures]


@dataclass
class Dataset:
    """One of kohya's datasets, with its own size of pictures and of batches."""

    levels: Levels
    subsets: list[Subset]
    batch_size: int = 1
    buckets: KohyaBuckets = field(default_factory=lambda: KohyaBuckets(False, 512, 512, 256, 1024, 64, False))

    def having(self, regularization: bool) -> list[Subset]:
        return [one for one in self.subsets if one.regularization == regularization]

    def counted(self, regularization: bool) -> list[Showing] | None:
        """Return what an epoch shows of its instance or regularization subsets; None where it can't be counted."""
        found: list[Showing] = []
        for subset in self.having(regularization):
            if subset.showings is None:
                return None
            found += subset.showings
        return found
