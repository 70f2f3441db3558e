"""What a command line's commands share: exit codes, and Ctrl-C or a closed terminal as a polite stop."""

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

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; it failed; wrong usage, recipe or input; stopped by Ctrl-C."""


HANGUPS = [getattr(signal, name) for name in ("SIGHUP", "SIGBREAK") if hasattr(signal, name)]
"""What a closed terminal sends; on Windows the console's close event, which leaves five seconds."""


def on_hangup(stop: Callable[[], None]) -> dict[int, Any]:
    """Call ``stop`` when the terminal is closed, unless that is ignored (``nohup``); return the handlers before.

    What is printed afterwards goes nowhere where it would go to that terminal: writing there would fail.
    """
    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_terminal(stream)]

    def hung_up(_number: int, _frame: FrameType | None) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in terminals:
            os.dup2(nowhere, number)
        os.close(nowhere)
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
    """A control that Ctrl-C, a polite kill or a closed terminal tells to stop, saying ``message``.

    A second Ctrl-C or kill aborts. A launcher may pass on what the terminal has sent already: for so many seconds
    (``repeated``) that counts as one.
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
