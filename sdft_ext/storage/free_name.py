"""Find names that are not taken: NAME, NAME-2, NAME-3 …"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path


def numbered(name: str) -> Iterator[str]:
    """Yield ``name``, ``name-2``, ``name-3`` … without end."""
    yield name
    yield from (f"{name}-{number}" for number in count(2))


def free_name(name: str, taken: Callable[[str], bool]) -> str:
    """Return the first of ``name``, ``name-2``, ``name-3`` … that is not taken."""
    return next(candidate for candidate in numbered(name) if not taken(candidate))


def new_folder(parent: Path, name: str, reserved: Callable[[str], bool] = lambda name: False) -> Path:
    """Make the first of ``parent/name``, ``parent/name-2`` … that doesn't exist and whose name is not reserved.

    Two programs that ask at the same moment get two folders. Raises OSError where the folder can't be made.
    """
    for candidate in numbered(name):
        if not reserved(candidate):
            try:
                (parent / candidate).mkdir(parents=True)
                return parent / candidate
            except FileExistsError:
                continue
    raise AssertionError("there is always a next number")
