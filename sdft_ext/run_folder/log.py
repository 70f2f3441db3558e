"""A run's log: one JSON object a line in ``log.jsonl``, and the same numbers for TensorBoard."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..recipe import WatchRecipe
from ..storage import atomic, json_file

FILE, BOARD = "log.jsonl", "tensorboard"
"""The log, and the folder of the files for TensorBoard."""
Line = dict[str, Any]


class Smoother:
    """An exponential mean with the bias of its start corrected: mean / (1 - shareⁿ) (Kingma 2015, §3)."""

    def __init__(self, share: float) -> None:
        self.share, self.total, self.weight = share, 0.0, 0.0

    def add(self, value: float) -> float:
        """Take a value into the mean; returns the new mean."""
        self.total = self.share * self.total + (1 - self.share) * value
        self.weight = self.share * self.weight + (1 - self.share)
        return self.value

    @property
    def value(self) -> float:
        """The mean; NaN before the first value."""
        return self.total / self.weight if self.weight else math.nan

    def state(self) -> dict[str, float]:
        """Give what a resumed run goes on with."""
        return {"total": self.total, "weight": self.weight}

    def load(self, state: dict[str, float]) -> None:
        """Put back what ``state`` gave."""
        self.total, self.weight = state["total"], state["weight"]


class Log:
    """Writes each line as it comes and flushes it: what was logged survives a kill."""

    def __init__(self, folder: Path, recipe: WatchRecipe) -> None:
        self.path = folder / FILE
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: Any = None
        self._board: Any = None
        self._board_folder = folder / BOARD if recipe.tensorboard else None
        self._board_from: int | None = None

    def resume(self, step: int) -> None:
        """Drop what was logged past a step, and half a line at the end: the run will log it again.

        A run that goes on from step 0 starts again: nothing is kept.
        """
        self.close()
        kept = [line for line in read(self.path.parent) if step > 0 and line["step"] <= step]
        atomic.text(self.path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))
        if self._board_folder is not None and self._board_folder.exists():
            self._board_from = step + 1 if step else 0

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Log the numbers of a step, for TensorBoard too."""
        self._line({"step": step, **values, "time": time.time()})
        if self._board_folder is not None:
            for name, value in values.items():
                if isinstance(value, int | float) and name != "epoch" and math.isfinite(value):
                    self._on_board(step, name, value)

    def event(self, step: int, kind: str, **values: Any) -> None:
        """Log something that happened: a save, control pictures, a warning."""
        self._line({"step": step, "event": kind, **values, "time": time.time()})

    def close(self) -> None:
        """Close the files; writing opens them again."""
        opened = [thing for thing in (self._file, self._board) if thing is not None]
        self._file = self._board = None
        for thing in opened:
            # On a full disk closing fails as writing did, which was reported then.
            with suppress(OSError):
                thing.close()

    def _line(self, values: dict[str, Any]) -> None:
        if self._file is None:
            self._file = open(self.path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115 (closed in close)
        # JSON has no NaN: such numbers are written as text.
        plain = {k: (str(v) if isinstance(v, float) and not math.isfinite(v) else v) for k, v in values.items()}
        self._file.write(json.dumps(plain, ensure_ascii=False) + "\n")
        self._file.flush()

    def _on_board(self, step: int, name: str, value: float) -> None:
        if self._board is None and self._board_folder is not None:
            try:
                from tensorboardX import SummaryWriter
            except ImportError:
                self._board_folder = None
                self.event(step, "warning", text="tensorboardX is not installed: no files for TensorBoard are written.")
                return
            # purge_step: TensorBoard ignores what an earlier file holds from this step on.
            # filename_suffix: two runs started within a second would write the same file.
            self._board = SummaryWriter(
                str(self._board_folder),
                purge_step=self._board_from,
                flush_secs=10,
                filename_suffix=f".{time.time_ns()}",
            )
        if self._board is not None:
            self._board.add_scalar(name, value, step)


def read(folder: Path) -> list[Line]:
    """Read the lines of a run's log, each with its ``step``; one that a kill cut off is left out."""
    path = folder / FILE
    lines: list[Line] = []
    if path.exists():
        # Not splitlines: a name in a line may contain one of Unicode's other line separators.
        for text in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                line = json_file.parse(text)
            except ValueError:
                continue
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                lines.append(line)
    return lines


def losses(lines: list[Line], name: str = "loss") -> list[tuple[int, float]]:
    """Pick (step, value) of one number of the log."""
    return [(line["step"], float(line[name])) for line in lines if name in line]
