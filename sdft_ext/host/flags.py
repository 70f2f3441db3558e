"""Whose flags hold when: a lent model's parameters are one object for its host and for the run."""

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
        return cls([(parameter, parameter.requires_grad, parameter.grad) for parameter in parameters])

    @classmethod
    def off(cls, parameters: Iterable[nn.Parameter]) -> Flags:
        """As every method wants its base: no gradients."""
        return cls([(parameter, False, None) for parameter in parameters])

    def put(self) -> None:
        for parameter, wanted, gradient in self.parameters:
            parameter.requires_grad = wanted
            parameter.grad = gradient
