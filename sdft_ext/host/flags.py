"""Gradient flags of a lent model: its parameters are the same objects for its host and for the run, and each has its
own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Flags:
    """``requires_grad`` and ``grad`` of the host's parameters, which the borrowed modules share."""

    parameters: list[tuple[nn.Parameter, bool, Tensor | None]]

    @classmethod
    def of(cls, parameters: Iterable[nn.Parameter]) -> Flags:
        """Record the flags as they are."""
        return cls([(parameter, parameter.requires_grad, parameter.grad) for parameter in parameters])

    @classmethod
    def off(cls, parameters: Iterable[nn.Parameter]) -> Flags:
        """Make flags without gradients, as every method wants its base."""
        return cls([(parameter, False, None) for parameter in parameters])

    def put(self) -> None:
        """Set the flags of the parameters."""
        for parameter, wanted, gradient in self.parameters:
            parameter.requires_grad = wanted
            parameter.grad = gradient
