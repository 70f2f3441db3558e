"""Incremental reading of runs' logs: a page that asks every second gets the new lines, and none is parsed twice."""

from __future__ import annotations

import secrets
import threading
from array import array
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..run_folder.log import FILE
from ..storage import json_file

MOST_LINES = 20_000
"""Lines in one answer; the next one has the rest."""
MOST_CACHED = 8
"""Logs whose index is cached."""


@dataclass
class _Index:
    """Where each line of a log begins and ends in its file, and its events; ``version`` changes when the file is
    replaced.
    """

    version: str
    file: tuple[int, int]
    read: int = 0
    starts: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Lines:
    """Lines of a log, unparsed. ``next`` is the number of the line after them; ``more``: there are more already.

    ``version`` changes when the log is rewritten (a resumed run drops the steps it repeats): discard what was read
    before then, and read from line 0.
    """

    texts: list[bytes]
    next: int
    more: bool
    version: str


class Logs:
    """The logs of the runs that were read last."""

    def __init__(self) -> None:
        self._cached: OrderedDict[Path, _Index] = OrderedDict()
        self._lock = threading.Lock()

    def since(self, run: Path, number: int) -> Lines:
        """Return the lines from ``number`` (0-based) on."""
        with self._lock:
            index = self._read(run)
            first = min(max(number, 0), len(index.starts))
            last = min(first + MOST_LINES, len(index.starts))
            texts = []
            if last > first:
                with open(run / FILE, "rb") as file:
                    file.seek(index.starts[first])
                    data = file.read(index.ends[last - 1] - index.starts[first])
                base = index.starts[first]
                texts = [data[index.starts[i] - base : index.ends[i] - base] for i in range(first, last)]
            return Lines(texts, last, last < len(index.starts), index.version)

    def events(self, run: Path) -> list[dict[str, Any]]:
        """Return saves, control pictures, warnings and other events, in order."""
        with self._lock:
            return list(self._read(run).events)

    def last(self, run: Path, count: int) -> list[dict[str, Any]]:
        """Return the last lines, parsed."""
        with self._lock:
            total = len(self._read(run).starts)
        return [json_file.parse(text) for text in self.since(run, total - count).texts]

    def _read(self, run: Path) -> _Index:
        """Update and return the index of a run's log."""
        path = run / FILE
        try:
            stat = path.stat()
        except OSError:
            self._cached.pop(path, None)
            return _Index("", (0, 0))
        identity = (stat.st_dev, stat.st_ino)
        index = self._cached.get(path)
        if index is None or index.file != identity or stat.st_size < index.read:
            index = self._cached[path] = _Index(secrets.token_hex(6), identity)
        self._cached.move_to_end(path)
        while len(self._cached) > MOST_CACHED:
            self._cached.popitem(last=False)
        if stat.st_size > index.read:
            with open(path, "rb") as file:
                file.seek(index.read)
                _add(index, file.read(stat.st_size - index.read))
        return index


def _add(index: _Index, data: bytes) -> None:
    """Add whole lines to the index; a partial last line is read again once it is complete."""
    place = 0
    while (end := data.find(b"\n", place)) >= 0:
        line = _parsed(data[place:end])
        if line is not None:
            index.starts.append(index.read + place)
            index.ends.append(index.read + end)
            if "event" in line:
                index.events.append(line)
        place = end + 1
    index.read += place


def _parsed(text: bytes) -> dict[str, Any] | None:
    """Parse a line; None where it is damaged: it must not break the answer that would contain it."""
    try:
        line = json_file.parse(text, finite=True)
    except ValueError:  # JSON's and Unicode's errors are ValueErrors
        return None
    return line if isinstance(line, dict) and isinstance(line.get("step"), int) else None
