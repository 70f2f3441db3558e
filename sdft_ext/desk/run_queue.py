"""The queue of runs, and of regularization pictures to draw, and the one thread that works through it.

The thread outlives every page. A file records what waits and what trains: after a restart the waiting runs are still
queued, and the interrupted one says so. The queue is then on hold until the user starts or resumes a run, so that
starting the program never starts a training by itself.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..control import RunControl
from ..errors import SdftError
from ..run_folder.lock import is_at_work, this_process
from ..storage import atomic, json_file
from .errors import NotNow

QUEUE = "queue.json"
"""The queue's own file, among the desk's."""
TRACEBACK = "traceback.txt"
DRAWN = "regularization"
"""Ids of regularization pictures are ``regularization/NAME``, their folder; a run's id is its folder's name."""
DRAWING = "drawing"
"""Their state while they are being drawn."""
FILES = ("recipe.yaml", "job.json")
"""The file by which a folder is a run's, or a drawing job's."""
END_SECONDS = 60.0
"""How long to wait for a run to end before it is resumed."""
INTERRUPTED = "Interrupted: the program ended during training. Resume continues from the last state."
INTERRUPTED_DRAWING = "Interrupted: the program ended while drawing. Resume draws the missing pictures."

Work = Callable[[Path, RunControl], object]
"""A function that trains the run in a folder, or draws its pictures, until it finishes, stops or fails."""


class RunQueue:
    """The queue. ``folder`` holds the runs, ``file`` stores the queue, ``work`` trains a run; ``at_the_end`` is called
    when none is left.
    """

    def __init__(self, folder: Path, file: Path, work: Work, at_the_end: Callable[[], None] = lambda: None) -> None:
        self.folder, self.file, self._do, self._at_the_end = folder, file, work, at_the_end
        self._changed = threading.Condition()
        self._waiting: list[str] = []
        self._current: str | None = None
        self._control: RunControl | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._unread = True
        """The queue's file couldn't be read yet: it must not be written anew."""
        self._try(self._read)
        self._held = bool(self._waiting)

    @property
    def waiting(self) -> list[str]:
        """Return the runs that wait, the next one first."""
        with self._changed:
            return list(self._waiting)

    @property
    def current(self) -> str | None:
        """Return the run that trains now."""
        return self._current

    @property
    def held(self) -> bool:
        """Return whether the queue is on hold, after a restart, until a run is started or resumed."""
        return self._held

    def owns(self, run: str) -> bool:
        """Return whether a run waits or trains in this queue."""
        with self._changed:
            return run == self._current or run in self._waiting

    def add(self, run: str, *, first: bool = False) -> None:
        """Queue a run, with ``first`` at the front, even if it waits already; end a hold.

        Raises NotNow, OSError where the queue's file can't be read or written.
        """
        with self._changed:
            if run == self._current:
                raise NotNow(f"{run} is already {_verb(run)}.")
            if is_at_work(self.folder / run):
                raise NotNow(f"{run} is being trained by another program; stop it there.")
            if self._unread:
                self._read()
            others, new = [one for one in self._waiting if one != run], run not in self._waiting
            if first or new:
                self._store([run, *others] if first else [*others, run])
            if new:
                self._set_status(run, "waiting", "")
            self._held = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sdft-trainer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def order(self, runs: Sequence[str]) -> None:
        """Reorder the waiting runs. Raises NotNow where ``runs`` aren't exactly those, OSError as ``add`` does."""
        with self._changed:
            if sorted(runs) != sorted(self._waiting):
                raise NotNow("The queue has changed meanwhile; reload it.")
            self._store(runs)

    def remove(self, run: str) -> bool:
        """Remove a waiting run from the queue; return whether it was there."""
        with self._changed:
            if run not in self._waiting:
                return False
            self._waiting.remove(run)
            self._set_status(run, "stopped", "Removed from the queue. Resume queues it again.")
            self._write()
            return True

    def control(self, run: str) -> RunControl:
        """Return the control of the run that trains now. Raises NotNow for another run, and for one that has ended."""
        with self._changed:
            if run != self._current or self._control is None or self._ended(run):
                raise NotNow(f"{run} isn't {_verb(run)} now; start or resume it first.")
            return self._control

    def resume(self, run: str) -> None:
        """Continue a paused run, queue one that ended, or move a waiting one to the front. Raises NotNow.

        Waits for a run that is stopping or cleaning up: it wouldn't notice the request.
        """
        with self._changed:
            control = self._control if run == self._current and not self._ended(run) else None
            if control is not None and not control.stopping:
                control.resume()
                return
            self.settle(run, stopping=True)
        self.add(run, first=run in self.waiting)

    def settle(self, run: str, *, stopping: bool = False) -> None:
        """Wait until a run that has ended (with ``stopping``: or was asked to) has cleaned up. Raises NotNow."""
        with self._changed:
            if run != self._current or self._control is None:
                return
            ending = self._ended(run) or (stopping and self._control.stopping)
            if ending and not self._changed.wait_for(lambda: self._current != run, END_SECONDS):
                raise NotNow(f"{run} is still ending; try again in a moment.")

    def _ended(self, run: str) -> bool:
        """Return whether a run's status says that it has ended; it may still be cleaning up."""
        return _status(self.folder / run / "status.json").get("state") in ("finished", "stopped", "failed")

    def stop(self, run: str) -> None:
        """End a run with a save and a state, or remove it from the queue."""
        if not self.remove(run):
            self.control(run).stop()

    def close(self, seconds: float = 30.0) -> None:
        """Stop the run that trains and wait for its save; waiting runs stay queued."""
        with self._changed:
            self._closed = True
            if self._control is not None:
                self._control.stop()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing trains or waits, at most ``seconds``; return whether that is so (never while on hold)."""
        with self._changed:
            return self._changed.wait_for(lambda: self._current is None and not self._waiting, seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._waiting and not self._held))
                if self._closed:
                    return
                self._current, self._control = self._waiting.pop(0), RunControl()
                run, control = self._current, self._control
                self._write()
            try:
                self._do(self.folder / run, control)
            except Exception as failure:
                self._failed(run, failure)
            finally:
                try:
                    if not self._waiting and not self._closed:
                        self._at_the_end()
                except Exception:  # the queue goes on, whatever the host does
                    traceback.print_exc()
                with self._changed:
                    self._current = self._control = None
                    self._write()
                    self._changed.notify_all()

    def _failed(self, run: str, failure: Exception) -> None:
        """Write the error that ended a run into its status; for a bug, write the traceback too."""
        if isinstance(failure, SdftError | OSError):
            message = str(failure)
        else:
            first = next(iter(str(failure).splitlines()), "")
            message = f"Unexpected {type(failure).__name__}: {first} ({TRACEBACK} in the run's folder shows where.)"
            self._try(lambda: atomic.text(self.folder / run / TRACEBACK, "".join(traceback.format_exception(failure))))
        self._set_status(run, "failed", message)

    def _set_status(self, run: str, state: str, message: str) -> None:
        """Write a run's state and message, and keep its steps."""
        path = self.folder / run / "status.json"
        before = _status(path)
        if path.parent.is_dir():
            self._try(
                lambda: json_file.write(path, {**before, "state": state, "message": message, "time": time.time()})
            )

    def _read(self) -> None:
        """Read the queue that an earlier program left; the run that it was training was interrupted.

        Raises OSError where the file can't be read at present.
        """
        stored = json_file.read_to_extend(self.file, {})
        self._unread = False
        try:
            waiting, current = list(stored["waiting"]), stored["current"]
        except (KeyError, TypeError):
            return
        self._waiting = [run for run in waiting if any((self.folder / str(run) / name).is_file() for name in FILES)]
        states = ("waiting", "preparing", "training", DRAWING, "paused")
        if not isinstance(current, str) or is_at_work(self.folder / current):
            return  # another program may have resumed it
        if _status(self.folder / current / "status.json").get("state") in states:
            self._set_status(current, "stopped", INTERRUPTED_DRAWING if draws(current) else INTERRUPTED)

    def _store(self, waiting: Sequence[str]) -> None:
        """Have these runs wait: first on disk, so that what is answered outlives the program. Raises OSError."""
        self._write_file(waiting)
        self._waiting = list(waiting)

    def _write(self) -> None:
        self._try(lambda: self._write_file(self._waiting))

    def _write_file(self, waiting: Sequence[str]) -> None:
        json_file.write(self.file, {"waiting": list(waiting), "current": self._current, **this_process()})

    @staticmethod
    def _try(write: Callable[[], None]) -> None:
        """Write if possible: a full disk must not end the queue, which can go on without this file."""
        try:
            write()
        except OSError:
            return


def draws(run: str) -> bool:
    """Return whether an entry of the queue draws regularization pictures instead of training a run."""
    return run.startswith(f"{DRAWN}/")


def _verb(run: str) -> str:
    return DRAWING if draws(run) else "training"


def _status(path: Path) -> dict[str, Any]:
    """Read a run's status, with defaults for what is missing."""
    return {"step": 0, "total": 0, "seconds_left": 0.0, **json_file.read_or(path, {})}
