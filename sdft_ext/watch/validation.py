"""Stable validation losses: the same pictures, noise and timesteps each time, so that only the weights change them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..dataset.batches import Batch, Batches
from ..randomness import generator
from ..recipe import Recipe

Evaluate = Callable[[Batch, Tensor, Tensor], Tensor]
"""(batch, noise [B, C, h, w], timesteps [B]) → plain loss [B]."""


class Validation:
    """Losses on held-out pictures and on as many training pictures: the gap between them shows overfitting.

    ``draws`` of noise and timestep for each picture; None: as many as the recipe says.
    """

    def __init__(self, recipe: Recipe, batches: Batches, draws: int | None = None) -> None:
        self.recipe, self.batches = recipe, batches
        self.draws = recipe.watch.validation_draws if draws is None else draws
        plan = batches.plan
        held_out = sorted(plan.held_out)
        training = [i for i in plan.scan.instances if i not in plan.held_out]
        self.sets = {"validation/held_out": held_out, "validation/training": training[: len(held_out) or len(training)]}

    def losses(self, evaluate: Evaluate) -> dict[str, float]:
        """Compute the mean loss of each set that has pictures."""
        return {name: self._mean(pictures, evaluate) for name, pictures in self.sets.items() if pictures}

    def of_pictures(
        self, pictures: Sequence[int], evaluate: Evaluate, captions: Callable[[int], str] | None = None
    ) -> dict[int, float]:
        """Compute each picture's mean loss over its draws; with other ``captions`` than its own."""
        found: dict[int, float] = dict.fromkeys(pictures, 0.0)
        for group in self.batches.fixed_groups(pictures, self.recipe.train.batch_size):
            batch = self.batches.fixed(group)
            if captions is not None:
                batch = replace(batch, captions=[captions(picture) for picture in group])
            for draw in range(self.draws):
                noise = torch.stack([self._noise(picture, draw, batch.latents[0].shape) for picture in group])
                losses = evaluate(batch, noise, self._timesteps(len(group), draw)).tolist()
                for picture, loss in zip(group, losses, strict=True):
                    found[picture] += loss / self.draws
        return found

    def _mean(self, pictures: Sequence[int], evaluate: Evaluate) -> float:
        return math.fsum(self.of_pictures(pictures, evaluate).values()) / len(pictures)

    def _noise(self, picture: int, draw: int, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=generator(self.recipe.train.seed, "validation", picture, draw))

    def _timesteps(self, count: int, draw: int) -> Tensor:
        """Spread draws evenly over the recipe's range of timesteps: draw d of n is the middle of the d-th nth."""
        train = self.recipe.train
        span = train.timestep_max - train.timestep_min + 1
        return torch.full((count,), train.timestep_min + int((draw + 0.5) / self.draws * span))
