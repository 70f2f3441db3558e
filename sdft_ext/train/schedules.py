"""Learning rates as a pure function of the step."""

from __future__ import annotations

import math

from ..recipe import RecipeError, TrainRecipe


class LearningRates:
    """The learning rate of each step. The named schedules follow diffusers' formulas."""

    def __init__(self, train: TrainRecipe, total_steps: int) -> None:
        self.train, self.total = train, total_steps
        self.pieces = step_string(train.schedule_steps) if train.schedule == "steps" else []

    def at(self, step: int, base: float) -> float:
        """Compute the rate of step number ``step`` (0-based) for a group whose own learning rate is ``base``.

        Schedule 'steps' names rates, not shares: a group with another rate than ``train.learning_rate`` keeps its ratio
        to it. It has no warm-up (write one: '1e-5:50, 1e-4'), and after its last step the rate is 0.
        """
        if not self.pieces:
            return base * self.share(step)
        named = next((rate for rate, until in self.pieces if step < until), 0.0)
        return named * (base / self.train.learning_rate if self.train.learning_rate else 1.0)

    def share(self, step: int) -> float:
        """Compute a named schedule's multiplier, 0 to 1. 'constant' has no warm-up, as in diffusers."""
        train, warmup = self.train, self.train.warmup
        if train.schedule == "constant":
            return 1.0
        if step < warmup:
            return step / max(1, warmup)
        if train.schedule == "constant_with_warmup":
            return 1.0
        progress = min(1.0, (step - warmup) / max(1, self.total - warmup))
        if train.schedule == "linear":
            return 1.0 - progress
        if train.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        if train.schedule == "cosine_with_restarts":
            return 0.0 if progress >= 1 else 0.5 * (1 + math.cos(math.pi * (train.cycles * progress % 1.0)))
        # Polynomial falls to 1e-7 of itself, as diffusers' default end does.
        end = min(1e-7 / train.learning_rate, 1.0) if train.learning_rate else 0.0
        return end + (1 - end) * (1 - progress) ** train.power


def length(train: TrainRecipe, steps: int) -> int:
    """Compute how many of a run's ``steps`` are trained: schedule 'steps' ends at its last step, as in the WebUI."""
    if train.schedule != "steps":
        return steps
    return int(min(steps, step_string(train.schedule_steps)[-1][1]))


def step_string(text: str) -> list[tuple[float, float]]:
    """Parse the WebUI's schedule into (rate, until that step) pairs: '5e-4:200, 1e-4' is 5e-4 for 200 steps, then 1e-4.

    A last piece without a step, or with -1, lasts to the run's end (infinity here); otherwise training ends at its
    step. Empty pieces are skipped. Raises RecipeError where the text can't be read, and (where the WebUI says nothing)
    where steps don't rise or a piece follows one without a step.
    """
    pieces: list[tuple[float, float]] = []
    for piece in filter(None, (part.strip() for part in text.split(","))):
        rate, colon, until = piece.partition(":")
        try:
            pieces.append((float(rate), float(int(until)) if colon and int(until) != -1 else math.inf))
        except ValueError:
            raise RecipeError(
                f"train.schedule_steps: {piece!r} is not 'rate:step'; write for example '5e-4:200, 1e-4'."
            ) from None
    steps = [until for _, until in pieces]
    rising = steps == sorted(set(steps)) and min(steps, default=0) >= 1
    if not rising or not all(rate >= 0 and math.isfinite(rate) for rate, _ in pieces):
        raise RecipeError(
            f"train.schedule_steps is {text!r}, but needs rates of 0 or more and rising steps from 1; write for "
            f"example "
            "'5e-4:200, 1e-4'."
        )
    return pieces
