"""What an import may read besides the file itself: the files and folders that it names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from ..dataset import names
from ..dataset.folder import DatasetError, Scan, scan
from ..recipe import Concept, DatasetRecipe
from ..storage.regular_file import read_start
from .source import MAX_BYTES


@dataclass(frozen=True)
class FoundPicture:
    """A picture in a folder: its size in pixels, upright, and whether it lies in a folder inside it."""

    width: int
    height: int
    nested: bool


class Files(Protocol):
    """How an import looks at what a settings file names. Nothing else is ever opened, and nothing is written."""

    def find(self, path: str) -> str:
        """Return the absolute path of a file or folder; empty where it isn't found, or may not be read."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file's content, at most a byte more than a settings file may have; None where it can't be read."""
        ...

    def folders(self, path: str) -> list[str] | None:
        """Return the names of the folders in a folder, sorted; None where it can't be read."""
        ...

    def pictures(self, folder: str) -> list[FoundPicture] | None:
        """Return the pictures of a folder and of those inside it; None where it can't be read."""
        ...


class NoFiles:
    """Nothing may be read."""

    def find(self, path: str) -> str:
        return ""

    def read(self, path: str) -> bytes | None:
        return None

    def folders(self, path: str) -> list[str] | None:
        return None

    def pictures(self, folder: str) -> list[FoundPicture] | None:
        return None


class Remembered:
    """Other ``Files``, each path looked up once: a file may name a folder many times."""

    def __init__(self, files: Files) -> None:
        self.find, self.read = lru_cache(maxsize=1000)(files.find), files.read
        self.folders, self.pictures = files.folders, lru_cache(maxsize=1000)(files.pictures)


class LocalFiles:
    """Everything that the user can read, except on other machines: even a check whether a path exists there would send
    this machine's login, and the settings may be a stranger's.

    Relative paths start at one of ``bases``, the first that has such a file.
    """

    def __init__(self, bases: Sequence[Path]) -> None:
        self._bases = [base.absolute() for base in bases]

    def find(self, path: str) -> str:
        if on_network(path):
            return ""
        path = os.path.expanduser(path)
        candidates = [Path(path)] if os.path.isabs(path) else [base / path for base in self._bases]
        try:
            return next((os.path.normpath(one) for one in candidates if one.exists()), "")
        except (OSError, ValueError):
            return ""

    def read(self, path: str) -> bytes | None:
        return content_of(self.find(path))

    def folders(self, path: str) -> list[str] | None:
        return folders_in(self.find(path))

    def pictures(self, folder: str) -> list[FoundPicture] | None:
        found = self.find(folder)
        if not found or not os.path.isdir(found):
            return None
        try:
            return found_pictures(scan(DatasetRecipe(concepts=[Concept(instance=found)])), found)
        except DatasetError:
            return None


def content_of(found: str) -> bytes | None:
    """Return the content of a file that was found, as ``Files.read``; None for an empty path."""
    try:
        return read_start(found, MAX_BYTES + 1) if found else None
    except OSError:
        return None


def folders_in(found: str) -> list[str] | None:
    """Return the folders in one that was found, as ``Files.folders``; None for an empty path."""
    if not found:
        return None
    try:
        with os.scandir(found) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except (OSError, ValueError):
        return None


def found_pictures(scanned: Scan, folder: str) -> list[FoundPicture]:
    """Return the pictures of a scanned folder."""
    return [FoundPicture(p.width, p.height, p.path.parent != Path(folder)) for p in scanned.pictures]


def on_network(path: str) -> bool:
    r"""Return whether a path names another machine, as Windows reads it.

    >>> on_network(r"\\server\share"), on_network("//server/share"), on_network("C:/dogs")
    (True, True, False)
    """
    return re.match(r"\s*[\\/]{2}", path) is not None


def base_name(path: str) -> str:
    """Return the last part of a path of any system."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def named_repeats(path: str) -> int:
    """Return the repeats in a folder's name, such as 10 in ``10_sks cat``; 1 where it has none."""
    parsed = names.kohya(base_name(path))
    return parsed[0] if parsed is not None and parsed[0] else 1


def named_caption(path: str) -> str:
    """Return the caption in a folder's name, such as ``sks cat`` in ``10_sks cat``; empty where it has none."""
    parsed = names.kohya(base_name(path))
    return parsed[1] if parsed is not None and parsed[0] else ""
