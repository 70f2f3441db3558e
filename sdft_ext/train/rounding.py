"""Stochastic rounding: weights kept in bfloat16, moved in float32, and rounded at random (Gupta 2015).

A step is mostly smaller than the distance between two bfloat16 numbers: rounded to the nearest, no weight would ever
move. Rounded up with a probability that is the fraction of the way to the next number, the mean is right. Each
parameter is widened alone, so float32 weights and gradients never exist all at once; the optimizer's state is float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..randomness import key


class Rounding:
    """Steps an optimizer over bfloat16 parameters. ``number`` is the step, which keys the random numbers."""

    def __init__(self, optimizer: torch.optim.Optimizer, seed: int) -> None:
        self.optimizer, self.seed, self.number = optimizer, seed, 0

    def step(self) -> None:
        """Move every parameter that has a gradient; the optimizer counts this as one step."""
        groups, place = self.optimizer.param_groups, 0
        try:
            for group in groups:
                parameters: Sequence[nn.Parameter] = group["params"]
                before = {name: value for name, value in group.items() if name != "params"}
                self.optimizer.param_groups = [group]
                try:
                    for parameter in parameters:
                        place += 1
                        if parameter.grad is not None:
                            # Else, counters that the first step adds would count every parameter.
                            for added in group.keys() - before.keys() - {"params"}:
                                del group[added]
                            group.update(before)
                            group["params"] = [parameter]
                            self._move(parameter, place)
                finally:
                    group["params"] = parameters
        finally:
            self.optimizer.param_groups = groups

    @torch.no_grad()
    def _move(self, parameter: nn.Parameter, place: int) -> None:
        if parameter.dtype != torch.bfloat16:
            self.optimizer.step()
            return
        narrow, gradient = parameter.data, parameter.grad
        assert gradient is not None
        parameter.grad = None
        parameter.data = narrow.float()
        parameter.grad = gradient.float()
        try:
            self.optimizer.step()
            draws = torch.Generator(narrow.device).manual_seed(key(self.seed, "rounding", self.number, place))
            narrow.copy_(rounded(parameter.data, draws))
        finally:
            parameter.grad = None
            parameter.data = narrow
            parameter.grad = gradient


def needed(parameters: Sequence[nn.Parameter]) -> bool:
    """Tell whether any parameter is kept in bfloat16."""
    return any(parameter.dtype == torch.bfloat16 for parameter in parameters)


def rounded(values: Tensor, draws: torch.Generator) -> Tensor:
    """Round float32 values to bfloat16: the 16 bits that are cut off, as a fraction, are the chance of the next
    number.
    """
    bits = values.contiguous().view(torch.int32)
    chance = torch.randint(0, 1 << 16, bits.shape, dtype=torch.int32, device=values.device, generator=draws)
    return ((bits + chance) & -65536).view(torch.float32).to(torch.bfloat16)
