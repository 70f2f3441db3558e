"""The exponential moving average (EMA) of the trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn

from .weights import copy, holding


class EMA:
    """mean ← decay·mean + (1 - decay)·weight after each step, in float32.

    Early on the decay is smaller, (1 + n)/(10 + n) after n updates, so that the mean leaves the first weights sooner.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.parameters, self.decay, self.updates = list(parameters), decay, 0
        self.mean = [parameter.detach().to(torch.float32, copy=True) for parameter in parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of a finished step into the mean."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mean, parameter in zip(self.mean, self.parameters, strict=True):
            mean.lerp_(parameter.float(), 1 - decay)
        self.updates += 1

    def load(self, mean: Sequence[Tensor], updates: int) -> None:
        """Put back the mean and how many updates made it."""
        copy(mean, self.mean)
        self.updates = updates

    def applied(self) -> AbstractContextManager[None]:
        """Give the parameters the mean, in their own dtype, inside the block; after it they are bit for bit what they
        were.
        """
        return holding(self.parameters, self.mean)

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Give the parameters the mean itself, in float32, inside the block: for files, which round it once. Copies
        nothing.
        """
        own = [parameter.data for parameter in self.parameters]
        try:
            for parameter, mean in zip(self.parameters, self.mean, strict=True):
                parameter.data = mean
            yield
        finally:
            for parameter, data in zip(self.parameters, own, strict=True):
                parameter.data = data
