"""Tell a file that was replaced from the former one, even where size and date are the same."""

from __future__ import annotations

import os
from pathlib import Path

Stamp = tuple[int, int, int, int]


def stamp(path: str | Path) -> Stamp:
    """Return a file's bytes, modification and change time (nanoseconds), and number in its file system.

    The change time can't be set by a program. Equal stamps mean the same content; others, that it must be read again.
    Raises OSError where the file can't be asked.
    """
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
