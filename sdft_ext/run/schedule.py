"""What is due after which step: a pure function of the recipe and the length of an epoch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from ..recipe import Recipe


@dataclass(frozen=True)
class Schedule:
    """When saves, states, control pictures and validation losses are due. Steps are counted from 1.

    ``picture_losses``: the steps after which the losses of single pictures are due.
    """

    recipe: Recipe
    steps_per_epoch: int
    total_steps: int
    picture_losses: frozenset[int] = frozenset()

    def epoch(self, step: int) -> int:
        """Give the epoch (from 1) that step number ``step`` belongs to."""
        return (max(step, 1) - 1) // self.steps_per_epoch + 1

    def last(self, step: int) -> bool:
        """Tell whether the run is finished after this step."""
        return step >= self.total_steps

    def save(self, step: int) -> bool:
        """Tell whether a save is due."""
        save = self.recipe.save
        if self.last(step):
            return True
        if not save.every or self.epoch(step) < save.first_epoch:
            return False
        if save.every_unit == "times":
            return step * save.every // self.total_steps > (step - 1) * save.every // self.total_steps
        period = save.every * (self.steps_per_epoch if save.every_unit == "epochs" else 1)
        return step % period == 0

    @property
    def saves_before_the_end(self) -> Sequence[int]:
        """The steps after which a save is due, without the last step."""
        save, steps = self.recipe.save, self.total_steps
        first = (save.first_epoch - 1) * self.steps_per_epoch + 1
        if not save.every:
            return ()
        if save.every_unit == "times":
            parts = min(save.every, steps)
            return [step for n in range(1, parts) if first <= (step := -(-n * steps // parts)) < steps]
        period = save.every * (self.steps_per_epoch if save.every_unit == "epochs" else 1)
        return range(-(-first // period) * period, steps, period)

    def state(self, step: int) -> bool:
        """Tell whether a state is due: with every save, and every ``state_every`` steps."""
        every = self.recipe.save.state_every
        return self.save(step) or bool(every and step % every == 0)

    def controls(self, step: int) -> bool:
        """Tell whether control pictures are due."""
        every = self.recipe.watch.every
        return self.save(step) if not every else (step % every == 0 or self.last(step))

    def validation(self, step: int) -> bool:
        """Tell whether validation losses are due."""
        every = self.recipe.watch.validation_every
        return bool(every) and (step % every == 0 or self.last(step))

    def previews(self, step: int) -> set[str]:
        """Name the previews that are due: "controls", "validation", "pictures" (the losses of single ones)."""
        due = {
            "controls": self.controls(step),
            "validation": self.validation(step),
            "pictures": step in self.picture_losses,
        }
        return {name for name, now in due.items() if now}

    def left(self, done: int) -> dict[str, int]:
        """Count what is due from step ``done`` on, what is due after that step included."""
        save, watch, last = self.recipe.save, self.recipe.watch, self.total_steps

        def periods(every: int) -> int:
            """Count the multiples of ``every`` from ``done`` on, without the last step."""
            return (last - 1) // every - (max(done, 1) - 1) // every if every else 0

        saves = self.saves_before_the_end
        saves_left = len(saves) - bisect_left(saves, max(done, 1)) + 1
        return {
            "save": saves_left,
            "state": saves_left + periods(save.state_every),
            "controls": periods(watch.every) + 1 if watch.every else saves_left,
            "validation": periods(watch.validation_every) + 1 if watch.validation_every else 0,
            "pictures": sum(step >= max(done, 1) for step in self.picture_losses),
        }

    def log(self, step: int) -> bool:
        """Tell whether the step is logged."""
        return step % self.recipe.watch.log_every == 0 or self.last(step) or step == 1
