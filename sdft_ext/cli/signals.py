"""What the command line's commands share: exit codes, and Ctrl-C or a closed terminal as a request to stop."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from ..control import RunControl

OK, FAILED, USAGE, UNKNOWN, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: done; failed; wrong usage, recipe or input; a file isn't known to be harmless; stopped by Ctrl-C."""


HANGUPS = [getattr(signal, name) for name in ("SIGHUP", "SIGBREAK") if hasattr(signal, name)]
"""Signals of a closed terminal; on Windows, of the console's close event, which leaves five seconds."""


def on_hangup(stop: Callable[[], None]) -> dict[int, Any]:
    """Call ``stop`` when the terminal is closed, unless that is ignored (``nohup``); return the handlers before.

    Output to that terminal is discarded from then on: writing to it would fail.
    """
    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_terminal(stream)]

    def hung_up(_number: int, _frame: FrameType | None) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        for number in terminals:
            os.dup2(null, number)
        os.close(null)
        stop()

    found = [number for number in HANGUPS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, hung_up) for number in found}


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


@contextmanager
def stopped_by_signals(message: str, repeated: float = 0.0) -> Iterator[RunControl]:
    """Give a control that Ctrl-C, SIGTERM or a closed terminal stops, printing ``message``.

    A second Ctrl-C or SIGTERM aborts. A launcher may pass on a signal that the terminal has sent already: within
    ``repeated`` seconds, both count as one.
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

    before: dict[int, Any] = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before |= on_hangup(control.stop)
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
