"""What the stabilized loss says of a run's saves: the same pictures, noise and timesteps each time, so that only the
weights change it.

The guide: the best save is near the minimum of the loss. Of pictures that are trained on, the loss falls on while they
are learned by heart; of held-out pictures it rises then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from ..run_folder.picture_losses import PictureLosses

RISEN = 1.1
"""A held-out loss this many times its lowest one has risen. Nothing but the weights changes it."""


@dataclass(frozen=True)
class StableLosses:
    """Mean losses by step, that of the start included: of pictures trained on, and of held-out ones."""

    training: Mapping[int, float] = field(default_factory=dict)
    held_out: Mapping[int, float] = field(default_factory=dict)

    @property
    def lowest(self) -> int | None:
        """Return the step after the start at which the loss was lowest: of held-out pictures, where there are some."""
        found = {step: loss for step, loss in (self.held_out or self.training).items() if step > 0}
        return min(found, key=lambda step: found[step]) if found else None

    @property
    def rise(self) -> float:
        """Return by how much the held-out loss has risen from its lowest to its last value: 0.2 for a fifth; 0 where it
        hasn't risen by enough to say so.
        """
        if self.lowest is None or not self.held_out:
            return 0.0
        times = self.held_out[max(self.held_out)] / max(self.held_out[self.lowest], 1e-12)
        return times - 1 if times >= RISEN else 0.0


NO_LOSSES = StableLosses()


def stable_losses(found: PictureLosses | None) -> StableLosses:
    """Average the losses of single pictures, without the steps at which one of them wasn't finite."""
    if found is None:
        return NO_LOSSES
    means: dict[bool, dict[int, float]] = {}
    for held_out in (False, True):
        places = [i for i, one in enumerate(found.pictures) if one.held_out is held_out]
        of_step = {step: [losses[i] for i in places] for step, losses in found.steps.items()}
        means[held_out] = {
            step: fmean(one for one in losses if one is not None)
            for step, losses in of_step.items()
            if losses and None not in losses
        }
    return StableLosses(means[False], means[True])
