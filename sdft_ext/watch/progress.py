"""Progress with the time left: on a terminal one line that is updated, elsewhere a line every few seconds."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

EVERY = {True: 0.1, False: 5.0}
"""Seconds between updates, on a terminal and elsewhere."""


class Progress:
    """Writes to ``stream`` (stderr), unless ``quiet``. Call ``show`` as often as you like: updates are limited."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self._label = ""
        self._started = self._shown = 0.0
        self._first = 0
        self._width = 0

    def show(self, label: str, done: int, total: int, extra: str = "", left: float | None = None) -> None:
        """Show that ``label`` is at ``done`` of ``total``. Unless the seconds ``left`` are given (0: not known), they
        are estimated from when the label first appeared.
        """
        if self.quiet:
            return
        now = time.monotonic()
        if label != self._label:
            self._label, self._started, self._first, self._shown = label, now, done, 0.0
        if done < total and now - self._shown < EVERY[self._terminal]:
            return
        self._shown = now
        if left is None:
            left = seconds_left(now - self._started, done - self._first, total - self._first)
        text = (
            f"{label}: {done} of {total}"
            + (f", {duration(left)} left" if left else "")
            + (f", {extra}" if extra else "")
        )
        if self._terminal:
            # A line that wraps could not be overwritten.
            text = text[: max(shutil.get_terminal_size().columns - 1, 10)]
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
            if done >= total:
                self.end()
        else:
            self._write(text + "\n")

    def say(self, text: str) -> None:
        """Write a line that stays."""
        if not self.quiet:
            self.end()
            self._write(text + "\n")

    def end(self) -> None:
        """Let the line that is updated stay as it is."""
        if self._terminal and self._width:
            self._write("\n")
        self._width, self._label = 0, ""

    def _write(self, text: str) -> None:
        """Write, with '?' for letters that the stream's encoding lacks; where its reader has gone, stay silent from now
        on.
        """
        encoding = self.stream.encoding or "utf-8"
        try:
            self.stream.write(text.encode(encoding, "replace").decode(encoding))
            self.stream.flush()
        except OSError:
            self.quiet = True

    @property
    def _terminal(self) -> bool:
        return self.stream.isatty()


def seconds_left(passed: float, done: int, total: int) -> float:
    """Estimate the seconds left after ``passed`` seconds for ``done`` of ``total``; 0 where nothing is done yet."""
    return passed / done * (total - done) if done > 0 else 0.0


def duration(seconds: float) -> str:
    """Write seconds as people say them.

    >>> duration(5), duration(65), duration(7260)
    ('5 s', '1 min 5 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
