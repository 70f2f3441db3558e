"""What a command line's commands share: exit codes, and Ctrl-C as a polite stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .train.control import Control

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; it failed; wrong usage, recipe or input; stopped by Ctrl-C."""


@contextmanager
def stopped_by_signals(message: str) -> Iterator[Control]:
    """A control that Ctrl-C (and a polite kill) tells to stop, saying ``message``; a second one aborts."""
    from .train.control import Control

    control = Control()

    def stop(number: int, frame: FrameType | None) -> None:
        if control.stopping:
            raise KeyboardInterrupt
        print(f"\n{message}", file=sys.stderr)
        control.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
