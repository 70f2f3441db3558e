"""The record of what preparations have written into a folder: a new one continues from it, and replaces only files in
it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ..storage import atomic, json_file
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from .options import PreparationError

FILE = "prepared.json"
EVERY = 2.0
"""Seconds between two writes of the record; what it lacks after a kill is found by comparing bytes."""

Stamp = tuple[int, int]
"""A file's size in bytes and its mtime_ns."""


class Record:
    """The record of an output folder. ``source``: the folder of the originals; ``former_source``: that of the record on
    disk; ``exists``: whether there is one; ``files``: stamps by name; ``keys``: by name, what a picture was made from.
    """

    def __init__(self, out: Path, source: Path) -> None:
        self.out, self.source = out, str(source)
        self.files: dict[str, Stamp] = {}
        self.keys: dict[str, str] = {}
        self._written = 0.0
        content = _read(out)
        self.exists = content is not None
        self.former_source = "" if content is None else str(content.get("source", ""))
        if content is not None:
            self.files = {n: (int(s[0]), int(s[1])) for n, s in _pairs(content, "files") if _is_stamp(s)}
            self.keys = {n: k for n, k in _pairs(content, "keys") if isinstance(k, str)}

    def done(self, name: str, key: str) -> bool:
        """Return whether a picture was written from the same original in the same way, and is unchanged."""
        return self.keys.get(name) == key and self.is_unchanged(name)

    def is_unchanged(self, name: str) -> bool:
        """Return whether a preparation wrote a file, and nothing has changed it since."""
        return name in self.files and stamp(self.out / name) == self.files[name]

    def add(self, name: str) -> None:
        """Add a file that was written."""
        found = stamp(self.out / name)
        if found is not None:
            self.files[name] = found

    def save(self, *, now: bool = True) -> None:
        """Write the record; without ``now``, only every few seconds. Raises PreparationError where it can't."""
        if not now and time.monotonic() - self._written < EVERY:
            return
        content = json.dumps({"source": self.source, "files": self.files, "keys": self.keys})
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            # As ASCII, because a name may contain bytes that aren't UTF-8.
            atomic.text(hidden_folder(self.out, make=True) / FILE, content + "\n")
        except HiddenFolderError as error:
            raise PreparationError(str(error)) from error
        except OSError as error:
            raise PreparationError(
                f"{printable(self.out)} can't be written ({os.strerror(error.errno or 0)}); free space or choose "
                "another folder."
            ) from error
        self._written = time.monotonic()


def written(out: Path) -> frozenset[str]:
    """Return the names, below a folder, of the files that preparations wrote there."""
    content = _read(out)
    return frozenset() if content is None else frozenset(name for name, _ in _pairs(content, "files"))


def stamp(path: Path) -> Stamp | None:
    """Return a file's stamp, or None where there is no such file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _read(out: Path) -> dict[str, Any] | None:
    try:
        content = json_file.read(hidden_folder(out) / FILE)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _pairs(content: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    part = content.get(name)
    return list(part.items()) if isinstance(part, dict) else []


def _is_stamp(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)
