"""Other values in the trained weights for a while: their running mean, or what they were before the first step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

MOST = 2**30
"""Most bytes of first weights that are kept; a whole model's are too many."""


@contextmanager
def holding(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> Iterator[None]:
    """Give the parameters these values inside the block; after it they have, bit for bit, those that they had."""
    with torch.no_grad():
        kept = [parameter.detach().clone() for parameter in parameters]
        copy(values, parameters)
    try:
        yield
    finally:
        with torch.no_grad():
            copy(kept, parameters)


def copy(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    """Copy each tensor's values into the tensor at the same place of ``target``."""
    for value, parameter in zip(source, target, strict=True):
        parameter.copy_(value)


class FirstWeights:
    """The weights before the first step, in the computer's memory, and the previews of them that are still ``due``.

    So a run steps at once, and its first pictures are drawn after that.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], due: set[str]) -> None:
        self.parameters, self.due = list(parameters), due
        self.values = [parameter.detach().to("cpu", copy=True) for parameter in parameters]

    @staticmethod
    def fit(parameters: Sequence[nn.Parameter]) -> bool:
        """Tell whether they are small enough to be kept while the model trains."""
        return sum(parameter.numel() * parameter.element_size() for parameter in parameters) <= MOST

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the parameters these weights inside the block."""
        with holding(self.parameters, self.values):
            yield

    def state(self) -> dict[str, Any]:
        """Give what a resumed run needs of them."""
        return {"values": self.values, "owed": sorted(self.due)}

    def load(self, state: dict[str, Any]) -> FirstWeights:
        """Put back what ``state`` gave."""
        self.values, self.due = list(state["values"]), set(state["owed"])
        return self
