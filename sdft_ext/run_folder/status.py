"""``status.json``: what a run is doing now, for pages and programs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from ..storage import json_file
from .lock import this_process

State = Literal["preparing", "training", "drawing", "paused", "finished", "stopped", "failed"]


class Status:
    """Writes the file at every change of state or with a message, otherwise at most once a second."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "status.json"
        self._last: tuple[State, float] = ("preparing", 0.0)
        self._process = this_process()

    def set(self, state: State, step: int = 0, total: int = 0, seconds_left: float = 0.0, message: str = "") -> None:
        """Say what the run is doing. Raises OSError where it can't be written."""
        now = time.monotonic()
        if state == self._last[0] and now - self._last[1] < 1 and not message:
            return
        self._last = (state, now)
        values: dict[str, Any] = {"state": state, "step": step, "total": total, "seconds_left": round(seconds_left, 1)}
        json_file.write(self.path, {**values, "message": message, "time": time.time(), **self._process})
