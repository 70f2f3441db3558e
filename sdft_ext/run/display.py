"""Shows how a run goes: on the terminal, and in ``status.json`` for pages and programs."""

from __future__ import annotations

from pathlib import Path

from ..run_folder.status import State, Status
from ..storage import json_file
from ..watch.progress import Progress

VERIFYING = "Training is done. The last save is being verified."
STOPPING = "The run is stopping. Its last save is being verified."
DRAWING = "The grid of saves is being drawn."


class Display:
    """``done`` of ``total`` steps are shown with each state; before training begins, those of the status before."""

    def __init__(self, folder: Path, quiet: bool) -> None:
        self.status, self.progress = Status(folder), Progress(quiet=quiet)
        before = json_file.read_or(self.status.path, {})
        steps = {} if before.get("state") == "preparing" else before  # pictures were counted then
        self.done, self.total = (int(json_file.number(steps, name)) for name in ("step", "total"))
        self._what = DRAWING

    def say(self, text: str) -> None:
        """Write a line that stays on the terminal."""
        self.progress.say(text)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show how far ``what`` is before the first step."""
        self.progress.show(what, done, total)
        self.status.set("preparing", done, total)

    def on_wait(self, message: str) -> None:
        """Show what the run waits for: its host has another model loaded."""
        self.status.set("paused", self.done, self.total, message=message)
        self.progress.say(message)

    def paused(self) -> None:
        """Show that the user has paused the run."""
        self.status.set("paused", self.done, self.total)

    def training(self, done: int, seconds_left: float, figures: str) -> None:
        """Show a finished step. ``figures`` are shown on the terminal only."""
        self.done = done
        self.status.set("training", done, self.total, seconds_left)
        self.progress.show("Training", done, self.total, figures, seconds_left)

    def verifying(self, stopping: bool) -> None:
        """Show that the last step is done, or that the run is ``stopping`` before it."""
        state: State = "training" if stopping else "drawing"
        self.status.set(state, self.done, self.total, message=STOPPING if stopping else VERIFYING)

    def starting_to_draw(self, text: str) -> None:
        """Show which pictures are drawn next, by a sentence."""
        self._what = text
        self.status.set("drawing", self.done, self.total, message=text)

    def drawing(self, what: str, done: int, total: int) -> None:
        """Show how far the pictures after the last step are; the grid of saves, unless others were announced."""
        self.progress.show(what, done, total)
        message = f"{self._what} {what} ({done} of {total} pictures)."
        self.status.set("drawing", self.done, self.total, message=message)
