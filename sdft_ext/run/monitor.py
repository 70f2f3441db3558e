"""Follows the loss of a run: logs each step, shows progress, and ends a run whose loss has diverged."""

from __future__ import annotations

import math
from typing import Any

from ..errors import SdftError
from ..recipe import WatchRecipe
from ..run_folder.log import Log, Smoother
from ..train.loop import StepResult
from ..watch.diagnosis import Divergence
from ..watch.surroundings import memory_mb
from .display import Display
from .setup import Session


class Diverged(SdftError, RuntimeError):
    """The loss has risen for good; the message says what to change."""


class Monitor:
    """The smoothed loss and the check for divergence; both go on after a resume."""

    def __init__(self, recipe: WatchRecipe, log: Log, display: Display) -> None:
        self.log, self.display = log, display
        self.smoother, self.divergence = Smoother(recipe.smoothing), Divergence()

    @property
    def loss(self) -> float | None:
        """The smoothed loss; None before the first step."""
        return None if math.isnan(self.smoother.value) else self.smoother.value

    def step(self, session: Session, result: StepResult, seconds_left: float) -> None:
        """Log and show a finished step. ``seconds_left``: 0 where it isn't known. Raises Diverged."""
        smoothed, schedule = self.smoother.add(result.loss), session.schedule
        rate = len(result.pictures) * session.loop.processes.count / result.seconds
        if schedule.log(result.step):
            self.log.write(
                result.step,
                {
                    "epoch": schedule.epoch(result.step),
                    "loss": result.loss,
                    "smoothed": smoothed,
                    **{f"lr/{name}": value for name, value in result.learning_rates.items()},
                    "gradient_norm": result.gradient_norm,
                    "pictures_per_second": rate,
                    "memory_mb": memory_mb(),
                },
            )
        self.display.training(result.step, seconds_left, f"loss {smoothed:.4f}, {rate:.1f} pictures/s")
        trouble = self.divergence.seen(result.loss)
        if trouble:
            raise Diverged(trouble)

    def warn(self, step: int, text: str) -> None:
        """Show a warning, and log it for the report."""
        self.log.event(step, "warning", text=text)
        self.display.say(text)

    def state(self) -> dict[str, Any]:
        """Give what a resumed run goes on with."""
        return {"smoother": self.smoother.state(), "divergence": self.divergence.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        self.smoother.load(state["smoother"])
        self.divergence.load(state["divergence"])
