"""A running mean of the trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn

from .weights import copy, holding


class EMA:
    """mean ← decay·mean + (1 - decay)·weight after each step, in float32; early on with a smaller decay, (1 + n)/(10 + n)."""

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.parameters, self.decay, self.updates = list(parameters), decay, 0
        self.mean = [parameter.detach().to(torch.float32, copy=True) for parameter in parameters]

    @torch.no_grad()
    def update(self) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mean, parameter in zip(self.mean, self.parameters, strict=True):
            mean.lerp_(parameter.float(), 1 - decay)
        self.updates += 1

    def load(self, mean: Sequence[Tensor], updates: int) -> None:
        copy(mean, self.mean)
        self.updates = updates

    def applied(self) -> AbstractContextManager[None]:
        """Inside, the parameters are the mean in their own number format; after, bit for bit what they were."""
        return holding(self.parameters, self.mean)

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Inside, the parameters are the mean itself, in float32: for files, which round it once. Nothing is copied."""
        own = [parameter.data for parameter in self.parameters]
        try:
            for parameter, mean in zip(self.parameters, self.mean, strict=True):
                parameter.data = mean
            yield
        finally:
            for parameter, data in zip(self.parameters, own, strict=True):
                parameter.data = data
