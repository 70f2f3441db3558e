"""A disk that fails at a chosen moment, within this process: the n-th call that touches a file of a folder raises."""

from __future__ import annotations

import builtins
import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from sdft_ext.captions import files as caption_files

EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
"""Python's audit events of calls that change a file system, besides ``open``."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
STORAGE = os.sep + os.path.join("sdft_ext", "storage") + os.sep

_active: FailingDisk | None = None
_hooked = False


class FailingDisk:
    """Within ``with``, the ``moment``-th touch of a file below ``root`` fails with ``error``; counted from 1.

    A touch is a call that opens a file for writing, writes, flushes, renames, links, removes or makes something; with
    ``reads``, also one that opens a file for reading. A write that fails has written half of its bytes, as on a full
    disk. ``lasting``: all further touches fail too, but not those that remove something.
    """

    def __init__(self, root: Path, moment: int, error: int, *, lasting: bool = False, reads: bool = False) -> None:
        self.root, self.moment, self.error = str(root), moment, error
        self.lasting, self.reads = lasting, reads
        self.touches = 0
        self.hit = ""
        """The call that failed first, with its file."""
        self.through: set[str] = set()
        """Functions of ``sdft_ext/storage`` in which a call failed."""
        self._lock = threading.Lock()
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> FailingDisk:
        global _active, _hooked
        if not _hooked:
            sys.addaudithook(_audit)
            _hooked = True
        for owner, name, made in (
            (os, "fsync", self._fsync),
            (os, "write", self._write),
            (os, "fchmod", self._of_handle("fchmod", os.fchmod)),
            (builtins, "open", self._open),
            (io, "open", self._open),
            (caption_files, "_swap", self._swap),
            (safetensors.torch, "save_file", self._save_file),
        ):
            self._replace(owner, name, made)
        _active = self
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global _active
        _active = None
        for undo in reversed(self._undo):
            undo()

    def _replace(self, owner: Any, name: str, made: Any) -> None:
        before = getattr(owner, name)
        setattr(self, f"_real_{name.strip('_')}", before)
        setattr(owner, name, made)
        self._undo.append(lambda: setattr(owner, name, before))

    def touch(self, call: str, path: object) -> None:
        """Count a touch of ``path``. Raises OSError where it is the one to fail."""
        if self.fails(call, path):
            raise OSError(self.error, os.strerror(self.error), str(path))

    def fails(self, call: str, path: object) -> bool:
        """Count a touch of ``path``, and tell whether it shall fail."""
        if _active is not self or not str(path).startswith(self.root):
            return False
        with self._lock:
            self.touches += 1
            late = self.lasting and self.touches > self.moment and call not in ("os.remove", "os.rmdir")
            if self.touches != self.moment and not late:
                return False
            self.hit = self.hit or f"{call} {str(path)[len(self.root) :]}"
            frame: Any = sys._getframe()
            while frame is not None:
                if STORAGE in frame.f_code.co_filename:
                    self.through.add(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
                frame = frame.f_back
            return True

    # What stands in for the system's calls.

    def _fsync(self, handle: int) -> None:
        """Count the call; what isn't flushed is as good as written where no computer loses its power."""
        self.touch("os.fsync", _path_of(handle))

    def _of_handle(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(handle: int, *arguments: Any) -> Any:
            self.touch(f"os.{name}", _path_of(handle))
            return real(handle, *arguments)

        return call

    def _write(self, handle: int, data: Any) -> int:
        real: Callable[..., int] = self._real_write  # type: ignore[attr-defined]
        if self.fails("os.write", _path_of(handle)):
            real(handle, memoryview(data)[: len(data) // 2])
            raise OSError(self.error, os.strerror(self.error), _path_of(handle))
        return real(handle, data)

    def _swap(self, one: Path, other: Path) -> bool:
        self.touch("renameat2", other)
        return bool(self._real_swap(one, other))  # type: ignore[attr-defined]

    def _save_file(self, tensors: Any, path: str, metadata: Any = None) -> None:
        """Write as safetensors does, whose own code opens the file; it has an error of its own."""
        real = self._real_save_file  # type: ignore[attr-defined]
        if self.fails("save_file", path):
            real(tensors, path, metadata)
            os.truncate(path, os.path.getsize(path) // 2)
            text = f'Io error: Os {{ code: {self.error}, kind: Other, message: "{os.strerror(self.error)}" }}'
            raise SafetensorError(text)
        real(tensors, path, metadata)

    def _open(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        """Open as Python does; what is opened for writing writes through ``_Raw``."""
        named = isinstance(file, str | os.PathLike) and str(file).startswith(self.root)
        if not named or not set(mode) & set("wax+"):
            return self._real_open(  # type: ignore[attr-defined]
                file, mode, buffering, encoding, errors, newline, closefd, opener
            )
        raw = _Raw(self, str(file), mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        buffered: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)


class _Raw(io.FileIO):
    """A file whose writes count as touches."""

    def __init__(self, disk: FailingDisk, path: str, mode: str, closefd: bool, opener: Any) -> None:
        super().__init__(path, mode, closefd, opener)
        self._disk, self._path, self._half = disk, path, False

    def write(self, data: Any, /) -> int:
        """Write bytes; where the disk fails, half of them, and the rest not."""
        if self._half or self._disk.fails("write", self._path):
            size = len(memoryview(data).cast("B"))
            if not self._half and size > 1:
                self._half = True  # the next write, of the other half, fails
                return super().write(memoryview(data).cast("B")[: size // 2]) or 0
            self._half = False
            raise OSError(self._disk.error, os.strerror(self._disk.error), self._path)
        return super().write(data) or 0


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Count what Python says that it is about to do."""
    disk = _active
    if disk is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes) and (disk.reads or flags & WRITES):
            disk.touch("open", os.fsdecode(path))
    elif event in EVENTS:
        names = [_named(name, arguments) for name in arguments[:2] if isinstance(name, str | bytes)]
        if names:
            disk.touch(event, next((name for name in names if name.startswith(disk.root)), names[0]))


def _named(name: str | bytes, arguments: tuple[Any, ...]) -> str:
    """Complete a name that a call gives relative to a folder's handle, its last argument."""
    text, folder = os.fsdecode(name), arguments[-1]
    if os.path.isabs(text) or not isinstance(folder, int) or folder < 0:
        return text
    return os.path.join(_path_of(folder), text)


def _path_of(handle: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return ""
