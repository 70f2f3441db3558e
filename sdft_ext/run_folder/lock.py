"""One program trains a run: a lock that the system holds as long as that program lives, however it ends."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ..errors import SdftError
from ..storage import file_lock, json_file
from ..storage.text import printable

FILE = ".lock"
BOOT = Path("/proc/sys/kernel/random/boot_id")
SECONDS = 2.0
"""How long a run waits for its lock: a program that only asks whether it is held holds it for a moment."""


class RunLocked(SdftError, RuntimeError):
    """Another program is working on the run; the message says which run, and what to do."""


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keep every other program from training the run in ``folder``.

    Raises RunLocked where one does, OSError where the folder can't be written. On a file system without locks, the
    status file's process is asked for instead (``is_at_work``).
    """
    try:
        with file_lock.exclusive(folder / FILE, SECONDS) as locked:
            if not locked and process_lives(json_file.read_or(folder / "status.json", {})):
                raise _locked(folder)
            yield
    except file_lock.Locked:
        raise _locked(folder) from None


def is_at_work(folder: Path) -> bool:
    """Whether a program, this one included, is training the run in ``folder``."""
    try:
        return file_lock.is_locked(folder / FILE)
    except OSError:
        return process_lives(json_file.read_or(folder / "status.json", {}))


def this_process() -> dict[str, Any]:
    """Describe this process for ``process_lives``: its id, when it started, and its computer.

    ``pid_started`` is in seconds since 1970, and another time once the clock is set; ``pid_since`` depends on no clock.
    """
    pid = os.getpid()
    started = {"pid_started": psutil.Process().create_time(), "pid_since": _since(pid)}
    return {"pid": pid, **started, "computer": platform.node()}


def process_lives(status: dict[str, Any]) -> bool:
    """Whether another process, as ``this_process`` described it, still runs. Other computers' can't be seen."""
    pid = status.get("pid")
    if not isinstance(pid, int) or status.get("computer") != platform.node() or pid == os.getpid():
        return False
    since = _since(pid)
    if since and status.get("pid_since"):
        return bool(since == status["pid_since"])
    try:
        return abs(psutil.Process(pid).create_time() - float(status.get("pid_started", 0))) < 1
    except (psutil.Error, TypeError, ValueError, OverflowError):
        return False


def _since(pid: int) -> str:
    """Return the boot of the system and the clock ticks from then until a process began (proc(5)); empty where there is
    no such process, or the system doesn't tell.
    """
    try:
        boot = BOOT.read_text(encoding="ascii").strip()
        ticks = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode("ascii")
    except (OSError, IndexError, ValueError):
        return ""
    return f"{boot} {ticks}"


def _locked(folder: Path) -> RunLocked:
    return RunLocked(
        f"{printable(folder.name)} is being trained by another program: wait until it ends, or stop it there."
    )
