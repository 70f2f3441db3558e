"""Lock a file, so that one program at a time works on a folder. The system releases the lock when the program ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..errors import SdftError
from .regular_file import check_regular

SECONDS = 20.0
"""How long to wait for the lock; no program needs it that long unless something is wrong."""


class Locked(SdftError, RuntimeError):
    """Another program kept the lock for the whole waiting time."""


def open_no_follow(path: str, flags: int) -> int:
    """Open a regular file (an ``opener`` for ``open``), but follow no symbolic link. Raises OSError at once for a link,
    a pipe or a device.
    """
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    check_regular(handle, path)
    return handle


def is_locked(path: Path) -> bool:
    """Return whether a program, even this one, holds the lock on a file. Raises OSError where it can't be opened."""
    try:
        handle = open_no_follow(str(path), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        if not _acquire(handle):
            return True
        _release(handle)
        return False
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, seconds: float = SECONDS) -> Iterator[None]:
    """Hold the lock on a file, which is created where it is missing.

    Raises Locked after ``seconds``, OSError where the file can't be opened.
    """
    handle = open_no_follow(str(path), os.O_RDWR | os.O_CREAT)
    try:
        deadline = time.monotonic() + seconds
        while not _acquire(handle):
            if time.monotonic() > deadline:
                raise Locked(f"Another program is working on {path.parent}; wait for it, or close it.")
            time.sleep(0.01)
        try:
            yield
        finally:
            _release(handle)
    finally:
        os.close(handle)


UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""What file systems without locks answer: some network and FUSE folders."""


@contextmanager
def exclusive(path: Path, seconds: float = 2.0) -> Iterator[bool]:
    """Hold the lock of a file for a long piece of work; yield whether there is one, as some file systems have none.

    Raises Locked where another program holds it, OSError where the file can't be made.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked(path, seconds))
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            yield False
            return
        yield True


if sys.platform == "win32":
    import msvcrt

    def _acquire(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _acquire(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
