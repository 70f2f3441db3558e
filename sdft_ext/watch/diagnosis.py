"""Reads the loss: whether training diverged, with a sentence that says what to change."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import Any, Literal, get_args

from ..run_folder.log import losses

Verdict = Literal[
    "diverged", "not learning", "fine", "learned", "learning", "not learned", "bleeding", "memorized", "overtrained"
]

FIRST = (1, 3, 10, 30)
"""Steps at the start whose losses make up the first levels."""
WINDOW = 20
"""Steps that make up the present level, and how many steps in a row it must be too high."""
BEST_WINDOW = 100
"""Steps that make up the best level so far: the lowest mean of as many steps."""
RISE = 4.0
"""A level this many times the best one is too high …"""
RISE_FROM_FEW = 8.0
"""… or this many times a level of fewer than ten steps, which one step of an easy timestep may have lowered …"""
SURE = 5.0
"""… if the difference is this many standard errors: a step's loss varies with its timestep and noise."""
LEAST_SPREAD = 0.1
"""Standard deviation of the loss's logarithm that is assumed at least."""
ADVICE = "Lower the learning rate to a tenth; with fp16, try bf16."


class Divergence:
    """Watches each step's loss while a run trains.

    Levels are compared as means of the loss's logarithm: of the last ``WINDOW`` steps, and of the best
    ``BEST_WINDOW`` steps so far. A rate that is far too high breaks the model after one step, when only the first loss
    shows what the level was: the first step, the first three, ten and thirty are levels too. The noise is estimated
    from the differences of successive steps, which a level that moves hardly changes, so that a batch of one needs a
    larger rise than a batch of many. The run has diverged when the level was too high for ``WINDOW`` steps in a row.
    """

    def __init__(self) -> None:
        self.first: list[float] = []
        self.last: list[float] = []
        self.best: float | None = None
        """The lowest mean logarithm of ``BEST_WINDOW`` steps in a row."""
        self.too_high = 0

    def seen(self, loss: float) -> str | None:
        """Take in a step's loss; returns the sentence that ends the run, or None."""
        if not math.isfinite(loss):
            return f"The loss became {loss}. {ADVICE}"
        value = math.log(max(loss, 1e-12))
        if len(self.first) < FIRST[-1]:
            self.first.append(value)
        self.last = [*self.last, value][-BEST_WINDOW:]
        early = self._level_left()
        if len(self.last) == BEST_WINDOW:
            self.best = min(_mean(self.last), math.inf if self.best is None else self.best)
        self.too_high = 0 if early is None else self.too_high + 1
        if early is None or self.too_high < WINDOW:
            return None
        late = math.exp(_mean(self.last[-WINDOW:]))
        return f"The loss has risen from {early:.3g} to {late:.3g}: the training has diverged. {ADVICE}"

    def _level_left(self) -> float | None:
        """Return the level that the present one is surely too far above, if there is one."""
        if len(self.last) < WINDOW:
            return None
        late = _mean(self.last[-WINDOW:])
        spread = max(_spread(self.last), LEAST_SPREAD)
        levels = [(_mean(self.first[:count]), count) for count in FIRST if count <= len(self.first)]
        if self.best is not None:
            levels.insert(0, (self.best, BEST_WINDOW))
        for early, count in levels:
            error = spread * math.sqrt(1 / count + 1 / WINDOW)
            least = math.log(RISE if count >= 10 else RISE_FROM_FEW)
            if late - early > max(least, SURE * error):
                return math.exp(early)
        return None

    def state(self) -> dict[str, Any]:
        """Give what a resumed run goes on with."""
        return {
            "first": self.first,
            "last": self.last,
            "best": self.best,
            "too_high": self.too_high,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave. States of older versions hold losses, not their logarithms, and begin anew."""
        if "best" not in state:
            return
        self.first, self.last, self.best = list(state["first"]), list(state["last"]), state["best"]
        self.too_high = int(state["too_high"])


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(values: list[float]) -> float:
    """Estimate the standard deviation around a level that may move: the median difference of successive values, which
    is 0.954 standard deviations in normal noise.
    """
    return median(abs(one - other) for one, other in pairwise(values)) / 0.954


def verdict(lines: list[dict[str, Any]]) -> tuple[Verdict, str]:
    """Judge a whole log: one word, and a sentence for the user."""
    values = [loss for _, loss in losses(lines)]
    check = Divergence()
    for loss in values:
        sentence = check.seen(loss)
        if sentence:
            return "diverged", sentence
    # A resumed run goes on after the line that tells its former end.
    last = next((line for line in reversed(lines) if "loss" in line or line.get("diverged")), {})
    if last.get("diverged"):
        return "diverged", str(last["text"])
    rates = [value for line in lines for name, value in line.items() if name.startswith("lr/")]
    if rates and max(rates) == 0:
        return "not learning", "The learning rate was 0 throughout: nothing was learned. Set train.learning_rate."
    judged = next((line for line in reversed(lines) if line.get("event") == "verdict"), None)
    if judged is not None and judged.get("word") in get_args(Verdict):
        return judged["word"], str(judged.get("text", ""))
    return (
        "fine",
        "The loss stayed within bounds. The control pictures show whether the concept was learned, and whether it "
        "bleeds.",
    )
