"""What earlier preparations have written into a folder: so that one goes on where another ended, and replaces only its
own.
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
"""Seconds between two writings of the record; what it lacks after a kill is found out by comparing bytes."""

Stamp = tuple[int, int]
"""Size in bytes, and mtime_ns."""


class Record:
    """Of one folder of results. ``source`` is the folder of the originals."""

    def __init__(self, out: Path, source: Path) -> None:
        self.out, self.source = out, str(source)
        self.files: dict[str, Stamp] = {}
        self.keys: dict[str, str] = {}
        self._written = 0.0
        told = _told(out)
        self.found = told is not None
        self.other = "" if told is None else str(told.get("source", ""))
        if told is not None:
            self.files = {n: (int(s[0]), int(s[1])) for n, s in _pairs(told, "files") if _is_stamp(s)}
            self.keys = {n: k for n, k in _pairs(told, "keys") if isinstance(k, str)}

    def done(self, name: str, key: str) -> bool:
        """Whether a picture was written from the same original in the same way, and is there unchanged."""
        return self.keys.get(name) == key and self.ours(name)

    def ours(self, name: str) -> bool:
        """Whether a file is as a preparation wrote it."""
        return name in self.files and stamp(self.out / name) == self.files[name]

    def note(self, name: str) -> None:
        """A file was written."""
        found = stamp(self.out / name)
        if found is not None:
            self.files[name] = found

    def save(self, *, now: bool = True) -> None:
        """Raises PreparationError where the folder can't be written."""
        if not now and time.monotonic() - self._written < EVERY:
            return
        content = json.dumps({"source": self.source, "files": self.files, "keys": self.keys})
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            # As ASCII: a name may hold bytes that are no UTF-8.
            atomic.text(hidden_folder(self.out, make=True) / FILE, content + "\n")
        except HiddenFolderError as error:
            raise PreparationError(str(error)) from error
        except OSError as error:
            raise PreparationError(
                f"{printable(self.out)} can't be written ({os.strerror(error.errno or 0)}); free space or choose "
                f"another folder."
            ) from error
        self._written = time.monotonic()


def made(out: Path) -> frozenset[str]:
    """Names below a folder of what preparations wrote there."""
    told = _told(out)
    return frozenset() if told is None else frozenset(name for name, _ in _pairs(told, "files"))


def stamp(path: Path) -> Stamp | None:
    """None where there is no such file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _told(out: Path) -> dict[str, Any] | None:
    try:
        told = json_file.read(hidden_folder(out) / FILE)
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _pairs(told: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    part = told.get(name)
    return list(part.items()) if isinstance(part, dict) else []


def _is_stamp(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)
