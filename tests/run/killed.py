"""Runs in a process of their own that is killed, or whose disk fails, at a chosen moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import run
from tests.run import tiny

TOUCHES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")
"""Audit events of files: just before each of them a run may be killed."""


def go(recipe: Path, folder: Path, moment: int | str, touches_file: Path, error: int = 0) -> None:
    """Train ``recipe`` in ``folder``, or go on there; killed before the ``moment``-th touch of a file of the run.

    With ``error`` (such as errno.ENOSPC) that touch fails with it instead. ``moment`` may also be a part of a file's
    name: the first touch of such a one. Writes the number of touches to ``touches_file`` if the run comes to its end.
    """
    touches = 0

    def touched(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal touches
        names = [name for name in map(str, arguments[:2]) if name.startswith(str(folder))]
        # Until the recipe is there, nothing has begun that could be resumed.
        if event in TOUCHES and names and (folder / "recipe.yaml").exists():
            touches += 1
            if touches == moment or (isinstance(moment, str) and moment in names[0]):
                if error:
                    raise OSError(error, os.strerror(error), names[0])
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)
    if (folder / "recipe.yaml").exists():
        run.resume(folder, quiet=True)
    else:
        run.train(recipe_file.read(recipe), folder=folder, quiet=True)
    touches_file.write_text(str(touches))


def start(*arguments: Any, target: Callable[..., None] = go) -> Any:
    """Start ``go(*arguments)`` in a new process, without importing torch again each time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.run.preloaded"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def ends_alike(run: Path, whole: Path) -> None:
    """Saves, their names and losses, state, log, and control pictures are equal; what differs is named."""
    one, other = (tiny.fingerprint(folder, folder) for folder in (run, whole))
    assert (run / "saves" / "index.json").read_text() == (whole / "saves" / "index.json").read_text()
    for part in ("losses", "tensors", "pictures"):
        assert one[part] == other[part], part
    assert one["files"] == other["files"], "nothing is missing, and nothing half written lies about"
    assert tiny.last_state(run) == tiny.last_state(whole)
    assert [e for e in sorted(one["events"]) if e[1] != "warning"] == sorted(other["events"])
