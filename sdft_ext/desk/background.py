"""Background jobs: each has a thread of its own, its progress, its outcome, and can be cancelled."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from ..errors import SdftError
from ..out_of_memory import out_of_memory, work_failed
from ..watch.progress import seconds_left

ENDED = ("finished", "cancelled", "stopped", "failed")
"""States of a job that is over."""


class Cancelled(SdftError):
    """Raised in a job's work to end it early because its user asked for that."""


class Progress(NamedTuple):
    """A snapshot of a job. ``message`` is its outcome as a sentence."""

    state: str
    done: int
    total: int
    message: str


class Job:
    """One piece of work in a thread of its own.

    ``state`` is the kind's own name while the job works (the work may set others), then ``finished``, ``failed``, or
    ``cancelled``, the name for a job that was ended early. ``out_of_memory`` is the message where the computer's memory
    is full. ``on_end`` runs once the outcome is known, before anyone can read it.
    """

    def __init__(
        self,
        state: str,
        *,
        total: int = 0,
        cancelled: str = "cancelled",
        out_of_memory: str = "There is not enough memory; close other programs.",
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.state, self.done, self.total, self.message = state, 0, total, ""
        self.began = time.time()
        self._cancelled, self._out_of_memory, self._on_end = cancelled, out_of_memory, on_end
        self._cancel = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, name: str, work: Callable[[], str | None]) -> None:
        """Run ``work`` in a thread of this name; what it returns becomes the message."""
        self._thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._thread.start()

    def progress(self, done: int, total: int) -> None:
        """Record the progress. Raises Cancelled where the job was asked to end."""
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """Raise Cancelled where the job was asked to end."""
        if self._cancel.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Ask the work to end; it does so at its next ``progress`` or ``check``."""
        self._cancel.set()

    def join(self, seconds: float | None = None) -> None:
        """Wait until the thread has ended, at most ``seconds``."""
        if self._thread is not None:
            self._thread.join(seconds)

    @property
    def cancelling(self) -> bool:
        """Return whether the job was asked to end."""
        return self._cancel.is_set()

    @property
    def over(self) -> bool:
        return self.snapshot().state in ENDED

    @property
    def seconds_left(self) -> float:
        """Estimate the seconds left from the speed so far; 0 where that isn't known, or the job is over."""
        return 0.0 if self.over else seconds_left(time.time() - self.began, self.done, self.total)

    def snapshot(self) -> Progress:
        """Return state, progress and message, read together."""
        with self._lock:
            return Progress(self.state, self.done, self.total, self.message)

    def _run(self, work: Callable[[], str | None]) -> None:
        try:
            state, message = "finished", work() or ""
        except Cancelled as cancelled:
            state, message = self._cancelled, str(cancelled)
        except Exception as error:
            state, message = "failed", self._out_of_memory if isinstance(error, MemoryError) else explain(error)
        with self._lock:
            self.state, self.message = state, message
            if self._on_end is not None:
                self._on_end()


def explain(error: Exception) -> str:
    """Return an error as a sentence for the user; a bug is also logged, with its traceback."""
    if isinstance(error, SdftError | OSError):
        return str(error)
    if out_of_memory(error):
        return work_failed(error)
    logging.getLogger(__name__).error("A background job failed.", exc_info=error)
    if isinstance(error, ImportError):
        return f"A package is missing ({error.name}): install the packages that the Fine-tune tab names."
    return f"Unexpected {type(error).__name__}: {error}; the server's console shows where."
