"""Other values in the trained weights for a while: a mean of them, or what they were before the first step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

MOST = 2**30
"""Bytes of weights that are kept beside the trained ones; a whole model's are too many."""


@contextmanager
def holding(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> Iterator[None]:
    """Inside, the parameters have these values; after, bit for bit what they had."""
    with torch.no_grad():
        kept = [parameter.detach().clone() for parameter in parameters]
        copy(values, parameters)
    try:
        yield
    finally:
        with torch.no_grad():
            copy(kept, parameters)


def copy(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    for value, parameter in zip(source, target, strict=True):
        parameter.copy_(value)


class FirstWeights:
    """The weights before the first step, in the computer's memory, and what is still ``owed`` for them.

    So a run steps at once, and its first pictures are drawn after that.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], owed: set[str]) -> None:
        self.parameters, self.owed = list(parameters), owed
        self.values = [parameter.detach().to("cpu", copy=True) for parameter in parameters]

    @staticmethod
    def fit(parameters: Sequence[nn.Parameter]) -> bool:
        """Whether they can be kept beside the model while it trains."""
        return sum(parameter.numel() * parameter.element_size() for parameter in parameters) <= MOST

    @contextmanager
    def applied(self) -> Iterator[None]:
        with holding(self.parameters, self.values):
            yield

    def state(self) -> dict[str, Any]:
        return {"values": self.values, "owed": sorted(self.owed)}

    def load(self, state: dict[str, Any]) -> FirstWeights:
        self.values, self.owed = list(state["values"]), set(state["owed"])
        return self
