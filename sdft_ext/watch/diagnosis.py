"""Reads the loss: whether training diverged, with a sentence that says what to change."""

from __future__ import annotations

import math
from statistics import stdev
from typing import Any, Literal

from ..run_folder.log import losses

Verdict = Literal["diverged", "not learning", "fine"]

FIRST = 10
"""Steps at the start whose losses make up the first level."""
WINDOW = 20
"""Steps that make up the present level, and how many steps in a row it must be too high."""
RISE = 2.0
"""A level this many times the first one is too high …"""
SURE = 5.0
"""… if the difference is this many standard errors: a step's loss varies with its timestep and noise."""
ADVICE = "Lower the learning rate to a tenth; with fp16, try bf16."


class Divergence:
    """Watches each step's loss while a run trains.

    Levels are compared as means of the loss's logarithm: of the last ``WINDOW`` steps, and of the first step, the first
    three and the first ten. (A rate that is far too high breaks the model after one step: then only the first loss
    shows what the level was.) The noise is estimated from the steps themselves, so that a batch of one needs a larger
    rise than a batch of many. The run has diverged when the level was too high for ``WINDOW`` steps in a row.
    """

    def __init__(self) -> None:
        self.first: list[float] = []
        self.last: list[float] = []
        self.too_high = 0

    def seen(self, loss: float) -> str | None:
        """Take in a step's loss; returns the sentence that ends the run, or None."""
        if not math.isfinite(loss):
            return f"The loss became {loss}. {ADVICE}"
        if len(self.first) < FIRST:
            self.first.append(loss)
        self.last = [*self.last, loss][-WINDOW:]
        early = self._level_left()
        self.too_high = 0 if early is None else self.too_high + 1
        if early is None or self.too_high < WINDOW:
            return None
        late = math.exp(_mean(self.last))
        return f"The loss has risen from {early:.3g} to {late:.3g}: the training has diverged. {ADVICE}"

    def _level_left(self) -> float | None:
        """Give the first level, if the present one is surely too far above it."""
        if len(self.last) < WINDOW:
            return None
        late, spread = _mean(self.last), _spread(self.last)
        for count in (1, 3, FIRST):
            early = _mean(self.first[:count])
            error = max(spread, 0.1) * math.sqrt(1 / count + 1 / WINDOW)
            if late - early > math.log(RISE) and late - early > SURE * error:
                return math.exp(early)
        return None

    def state(self) -> dict[str, Any]:
        """Give what a resumed run goes on with."""
        return {"first": self.first, "last": self.last, "too_high": self.too_high}

    def load(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        self.first, self.last, self.too_high = list(state["first"]), list(state["last"]), int(state["too_high"])


def _logarithms(losses: list[float]) -> list[float]:
    return [math.log(max(loss, 1e-12)) for loss in losses]


def _mean(losses: list[float]) -> float:
    return math.fsum(_logarithms(losses)) / len(losses)


def _spread(losses: list[float]) -> float:
    return stdev(_logarithms(losses))


def verdict(lines: list[dict[str, Any]]) -> tuple[Verdict, str]:
    """Judge a whole log: one word, and a sentence for the user."""
    values = [loss for _, loss in losses(lines)]
    check = Divergence()
    for loss in values:
        sentence = check.seen(loss)
        if sentence:
            return "diverged", sentence
    rates = [value for line in lines for name, value in line.items() if name.startswith("lr/")]
    if rates and max(rates) == 0:
        return "not learning", "The learning rate was 0 throughout: nothing was learned. Set train.learning_rate."
    return (
        "fine",
        "The loss stayed within bounds. The control pictures show whether the concept was learned, and whether it "
        "bleeds.",
    )
