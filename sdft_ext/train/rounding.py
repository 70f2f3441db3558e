"""Stochastic rounding: weights kept in bfloat16, moved in float32, and rounded at random (Gupta 2015).

A step is mostly smaller than the distance between two bfloat16 numbers: rounded to the nearest, no weight would ever
move. Rounded up with a probability that is the fraction of the way to the next number, the mean is right. A few
parameters at a time are widened, so that float32 weights and gradients never exist all at once, and the optimizer moves
those in one call; its state is float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from ..randomness import key

MOST = 2**24
"""Numbers that are widened at once, where one parameter isn't larger: 128 MB of weights and gradients."""


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
                    for part in _in_parts(parameters, place):
                        # Else, counters that the first step adds would count every part.
                        for added in group.keys() - before.keys() - {"params"}:
                            del group[added]
                        group.update(before)
                        group["params"] = list(part.values())
                        self._move(part)
                finally:
                    group["params"] = parameters
                    place += len(parameters)
        finally:
            self.optimizer.param_groups = groups

    @torch.no_grad()
    def _move(self, part: Mapping[int, nn.Parameter]) -> None:
        """Move these parameters, by the numbers that key their draws."""
        narrow = [(place, one, one.data, one.grad) for place, one in part.items() if one.dtype == torch.bfloat16]
        try:
            for _, parameter, values, gradient in narrow:
                assert gradient is not None
                parameter.grad = None
                parameter.data = values.float()
                parameter.grad = gradient.float()
            self.optimizer.step()
            for place, parameter, values, _ in narrow:
                draws = torch.Generator(values.device).manual_seed(key(self.seed, "rounding", self.number, place))
                values.copy_(rounded(parameter.data, draws))
        finally:
            for _, parameter, values, gradient in narrow:
                parameter.grad = None
                parameter.data = values
                parameter.grad = gradient


def _in_parts(parameters: Sequence[nn.Parameter], before: int) -> Iterator[dict[int, nn.Parameter]]:
    """Yield the parameters that have a gradient, numbered from ``before`` + 1, in parts of at most ``MOST`` numbers."""
    part: dict[int, nn.Parameter] = {}
    numbers = 0
    for place, parameter in enumerate(parameters, before + 1):
        if parameter.grad is None:
            continue
        if part and numbers + parameter.numel() > MOST:
            yield part
            part, numbers = {}, 0
        part[place] = parameter
        numbers += parameter.numel()
    if part:
        yield part


def needed(parameters: Sequence[nn.Parameter]) -> bool:
    """Tell whether any parameter is kept in bfloat16."""
    return any(parameter.dtype == torch.bfloat16 for parameter in parameters)


def rounded(values: Tensor, draws: torch.Generator) -> Tensor:
    """Round float32 values to bfloat16: the 16 bits that are cut off, as a fraction, are the chance of the next
    number.
    """
    bits = values.contiguous().view(torch.int32)
    chance = torch.randint(0, 1 << 16, bits.shape, dtype=torch.int32, device=values.device, generator=draws)
    return chance.add_(bits).bitwise_and_(-65536).view(torch.float32).to(torch.bfloat16)
