"""One program at a time: a lock on a file that ends with the program that holds it, however it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SdftError

SECONDS = 20.0
"""Nobody holds it longer, unless something is wrong."""


class Locked(SdftError, RuntimeError):
    """Another program has held it all the time."""


def open_own(path: str, flags: int) -> int:
    """Open a file of ours; not one that a link leads to. Raises OSError."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def is_locked(path: Path) -> bool:
    """Whether somebody, this program included, holds the lock of a file. Raises OSError where that can't be known."""
    try:
        handle = open_own(str(path), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        if not _take(handle):
            return True
        _give(handle)
        return False
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, seconds: float = SECONDS) -> Iterator[None]:
    """Hold the lock of a file, which is made where it isn't there. Raises Locked after ``seconds``, OSError without a
    file.
    """
    handle = open_own(str(path), os.O_RDWR | os.O_CREAT)
    try:
        until = time.monotonic() + seconds
        while not _take(handle):
            if time.monotonic() > until:
                raise Locked(f"Another program is working on {path.parent}; wait for it, or close it.")
            time.sleep(0.01)
        try:
            yield
        finally:
            _give(handle)
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _give(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _give(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
