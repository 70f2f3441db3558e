"""Open files that somebody else has named: pipes, devices and sockets, which may never end, are refused."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class NotRegularFile(OSError):
    """The name belongs to a folder, a pipe, a device or a socket."""


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading, without waiting for a pipe's other end.

    Raises OSError where it can't be opened, NotRegularFile where it isn't a regular file: the opened file itself is
    checked, so that no other one can take its place meanwhile.
    """
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a device that isn't there
            raise _refusal(path) from error
        raise
    check_regular(handle, path)
    return os.fdopen(handle, "rb")


def check_regular(handle: int, path: str | Path) -> None:
    """Close an opened file that isn't a regular one, and raise NotRegularFile."""
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _refusal(path)
    except BaseException:
        os.close(handle)
        raise


def read_start(path: str | Path, most: int) -> bytes:
    """Return the first ``most`` bytes of a file. Raises as ``open_regular`` does."""
    with open_regular(path) as file:
        return file.read(most)


def _refusal(path: str | Path) -> NotRegularFile:
    return NotRegularFile(errno.EINVAL, "not a regular file", str(path))
