"""Shows how a run goes: on the terminal, and in ``status.json`` for pages and programs."""

from __future__ import annotations

from pathlib import Path

from ..run_folder.status import Status
from ..watch.progress import Progress

AFTER_THE_LAST_STEP = "Training is done. The last save is being verified, and the grid of saves drawn."


class Display:
    """``done`` of ``total`` steps are shown with each state; 0 of 0 until training begins."""

    def __init__(self, folder: Path, quiet: bool) -> None:
        self.status, self.progress = Status(folder), Progress(quiet=quiet)
        self.done = self.total = 0

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

    def verifying(self) -> None:
        """Show that the last step is done."""
        self.status.set("drawing", self.done, self.total, message=AFTER_THE_LAST_STEP)

    def drawing_grid(self, what: str, done: int, total: int) -> None:
        """Show how far the grid of saves is."""
        self.progress.show(what, done, total)
        message = f"{AFTER_THE_LAST_STEP} {what} ({done} of {total} pictures)."
        self.status.set("drawing", self.done, self.total, message=message)
