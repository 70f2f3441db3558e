"""How much of the disk a run will need: its saves, its two last states, and pictures that are cached there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..formats.family import Family
from ..formats.tensor_file import PRECISIONS
from ..method import METHODS
from ..model.skeleton import model_numbers
from ..recipe import FULL, Recipe
from ..run_folder.state import KEEP
from ..train.optimizer_memory import stored_numbers

MB = 2**20
BYTES_PER_SECOND = 200e6
"""How fast a run's first save and state are expected to be written: as slowly as an old disk takes them."""
ROOM = 0.95
"""Share of the free disk that a run may need and still fit."""
NO_ROOM = "That doesn't fit: free space, or set save.keep_last."


@dataclass(frozen=True)
class DiskUse:
    """What a run writes, in megabytes; ``saves`` is how many saves stay. Control pictures and logs are small."""

    saves: int
    save_mb: float
    state_mb: float
    cache_mb: float

    @property
    def total_mb(self) -> float:
        """Megabytes in all."""
        return self.saves * self.save_mb + KEEP * self.state_mb + self.cache_mb

    @property
    def parts(self) -> dict[str, tuple[float, str]]:
        """The megabytes of the saves, the states and the cache, each with its words."""
        saves = f"{self.saves} save{'' if self.saves == 1 else 's'} of {_size(self.save_mb)}"
        return {
            "saves": (self.saves * self.save_mb, saves),
            "states": (KEEP * self.state_mb, f"{KEEP} states of {_size(self.state_mb)} to resume from"),
            "cache": (self.cache_mb, f"{_size(self.cache_mb)} of cached pictures" if self.cache_mb >= 1 else ""),
        }

    def text(self, free_mb: float) -> str:
        """Say it in a sentence, and whether it fits into ``free_mb`` megabytes."""
        return _needed("On disk it needs", list(self.parts.values()), free_mb)

    def sentences(self, runs: Path, saves: Path | None = None, cache: Path | None = None) -> list[str]:
        """Say for each disk what it needs there, what is free, and whether it fits.

        ``runs``: the folder of the runs; ``saves``, ``cache``: folders of the saves and of cached pictures elsewhere.
        """
        places = {"saves": saves or runs, "states": runs, "cache": cache or runs}
        disks: dict[int, list[str]] = {}
        for part, (megabytes, _) in self.parts.items():
            if megabytes:
                disks.setdefault(_existing(places[part]).stat().st_dev, []).append(part)
        if len(disks) <= 1:
            return [self.text(free_megabytes(runs))]
        return [
            _needed(
                f"On the disk of {places[parts[0]]} it needs",
                [self.parts[part] for part in parts],
                free_megabytes(places[parts[0]]),
            )
            for parts in disks.values()
        ]


def disk_use(recipe: Recipe, family: Family, saves: int, cache_bytes: int) -> DiskUse:
    """Count what a run of ``saves`` saves writes; ``cache_bytes`` are those of its encoded pictures."""
    trained = METHODS[recipe.method.name]().trained_numbers(recipe, family)
    shapes = None if trained.own_weights is None else list(trained.own_weights.values())
    numbers = trained.total
    if recipe.method.name in FULL:
        rank = recipe.method.full.lora_rank
        whole = recipe.method.full.save_as != "lora"
        numbers = model_numbers(family) if whole else sum(rank * (s[0] + s[1]) for s in shapes or [] if len(s) > 1)
    optimizer = stored_numbers(recipe.train.optimizer, trained.total, shapes)
    state = trained.total * trained.bytes_each + 4 * optimizer + (4 * trained.total if recipe.train.ema else 0)
    kept = saves
    if recipe.save.keep_last:
        kept = min(saves, recipe.save.keep_last + recipe.save.keep_best)
    size = PRECISIONS[recipe.save.precision].itemsize
    cached = cache_bytes if recipe.dataset.cache == "disk" else 0
    return DiskUse(kept, numbers * size / MB, state / MB, cached / MB)


def free_megabytes(folder: Path) -> float:
    """Return the free space where a folder is, or will be made."""
    return shutil.disk_usage(_existing(folder)).free / MB


def _existing(folder: Path) -> Path:
    """Return a folder, or the first above it that exists."""
    place = folder.expanduser().absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def _needed(begin: str, parts: Sequence[tuple[float, str]], free_mb: float) -> str:
    total = sum(megabytes for megabytes, _ in parts)
    words = ", ".join(text for _, text in parts if text)
    text = f"{begin} about {_size(total)}: {words}. {_size(free_mb)} are free."
    return f"{text} {NO_ROOM}" if total > ROOM * free_mb else text


def _size(megabytes: float) -> str:
    if megabytes >= 1024:
        return f"{megabytes / 1024:.1f} GB"
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{max(megabytes, 0.1):.1f} MB"
