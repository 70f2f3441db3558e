"""Work in the background: a thread of its own, how far it is, what came of it, and how to end it early."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from ..errors import SdftError
from ..watch.progress import seconds_left

ENDED = ("finished", "cancelled", "stopped", "failed")
"""States of a job that is over."""


class Cancelled(SdftError):
    """A job's work ends early because its user asked for that."""


class Progress(NamedTuple):
    """A job at one moment. ``message`` says what came of it."""

    state: str
    done: int
    total: int
    message: str


class Job:
    """One piece of work in a thread of its own.

    ``state`` is the kind's own word while the job works (the work may set others), then ``finished``, ``failed``, or
    ``cancelled``, the word for a job that was ended early. ``out_of_memory`` is the message where the computer's memory
    is full. ``on_end`` runs once the outcome is known, before anybody sees it.
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
        """Note how far the work is. Raises Cancelled where it shall end."""
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """Raises Cancelled where the work shall end."""
        if self._cancel.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Ask the work to end; it does so at its next ``progress`` or ``check``."""
        self._cancel.set()

    def join(self, seconds: float | None = None) -> None:
        """Wait until the thread is over, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    @property
    def cancelling(self) -> bool:
        """Whether the job was asked to end."""
        return self._cancel.is_set()

    @property
    def over(self) -> bool:
        return self.snapshot().state in ENDED

    @property
    def seconds_left(self) -> float:
        """By the speed so far; 0 where that isn't known, or the job is over."""
        return 0.0 if self.over else seconds_left(time.time() - self.began, self.done, self.total)

    def snapshot(self) -> Progress:
        """State and message as they belong together."""
        with self._lock:
            return Progress(self.state, self.done, self.total, self.message)

    def _run(self, work: Callable[[], str | None]) -> None:
        try:
            state, message = "finished", work() or ""
        except Cancelled as cancelled:
            state, message = self._cancelled, str(cancelled)
        except MemoryError:
            state, message = "failed", self._out_of_memory
        except Exception as error:
            state, message = "failed", explain(error)
        with self._lock:
            self.state, self.message = state, message
            if self._on_end is not None:
                self._on_end()


def explain(error: Exception) -> str:
    """A sentence for the user on an error; a fault of the program is logged too, with its traceback."""
    if isinstance(error, SdftError | OSError):
        return str(error)
    logging.getLogger(__name__).error("A background job failed.", exc_info=error)
    if isinstance(error, ImportError):
        return f"A package is missing ({error.name}): install what the Fine-tune tab asks for."
    return f"Unexpected {type(error).__name__}: {error}; the server's console shows where."
