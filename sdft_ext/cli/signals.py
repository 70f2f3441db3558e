"""What the command line's commands share: exit codes, and Ctrl-C or a closed terminal as a request to stop."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from ..control import RunControl

OK, FAILED, USAGE, UNKNOWN, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: done; failed; wrong usage, recipe or input; a file isn't known to be harmless; stopped by Ctrl-C."""


HANGUPS = [getattr(signal, name) for name in ("SIGHUP", "SIGBREAK") if hasattr(signal, name)]
"""Signals of a closed terminal; on Windows, of the console's close event, which leaves five seconds."""


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line to ``stream`` (stdout). One whose terminal is closed, or whose reader has gone, discards it, and all
    that follows: a command's exit code tells how the command itself ended.
    """
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        if error.errno not in (errno.EIO, errno.EPIPE):
            raise
        _discard([stream.fileno()])


def _discard(outputs: Iterable[int]) -> None:
    """Send what is written to these descriptors nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    for number in outputs:
        os.dup2(null, number)
    os.close(null)


def on_hangup(stop: Callable[[], None]) -> dict[int, Any]:
    """Call ``stop`` when the terminal is closed, unless that is ignored (``nohup``); return the handlers before.

    Output to that terminal is discarded from then on: writing to it would fail.
    """
    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_terminal(stream)]

    def hung_up(_number: int, _frame: FrameType | None) -> None:
        _discard(terminals)
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

    A second Ctrl-C or SIGTERM aborts; one that comes with a closed terminal's signal, as when a session is ended, is
    the first. A launcher may pass on a signal that the terminal has sent already: within ``repeated`` seconds, both
    count as one.
    """
    from ..control import RunControl

    control = RunControl()
    asked: float | None = None

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked is not None:
            if time.monotonic() - asked < repeated:
                return
            raise KeyboardInterrupt
        asked = time.monotonic()
        control.stop()
        if message:
            with suppress(RuntimeError):  # the signal came while a line was being written there
                say(f"\n{message}", sys.stderr)

    before: dict[int, Any] = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before |= on_hangup(control.stop)
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
