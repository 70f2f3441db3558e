"""What a command line's commands share: exit codes, and Ctrl-C as a polite stop."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..control import RunControl

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; it failed; wrong usage, recipe or input; stopped by Ctrl-C."""


@contextmanager
def stopped_by_signals(message: str, repeated: float = 0.0) -> Iterator[RunControl]:
    """A control that Ctrl-C (and a polite kill) tells to stop, saying ``message``; a second one aborts.

    A launcher may pass on what the terminal has sent already: for so many seconds (``repeated``) that counts as one.
    """
    from ..control import RunControl

    control, asked = RunControl(), 0.0

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if control.stopping:
            if time.monotonic() - asked < repeated:
                return
            raise KeyboardInterrupt
        asked = time.monotonic()
        if message:
            print(f"\n{message}", file=sys.stderr)
        control.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
