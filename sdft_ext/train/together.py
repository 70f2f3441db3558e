"""Several processes, each with a copy of what trains: started by Hugging Face Accelerate, joined by torch's own collectives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import DistributedType
from torch import Tensor, nn

from ..recipe import RecipeError
from .processes import Lost, Processes, on_cpu

PATIENCE = timedelta(days=7)
"""How long the others wait for the main process, which may be drawing, saving, or paused. One that has died is noticed at once."""
AT_ONCE = 2**24
"""Numbers that are sent in one piece."""
LOST = "Another process of this run has ended; what it said stands above. Mend that, then resume."


class Together(Processes):
    """One of several processes. Collectives come in the order in which the main process's story has them."""

    def __init__(self) -> None:
        state = PartialState(cpu=on_cpu(), timeout=PATIENCE)
        if state.distributed_type not in (DistributedType.MULTI_CPU, DistributedType.MULTI_GPU):
            raise RecipeError(
                f"accelerate launch has started processes of the kind {state.distributed_type}, which was never tried: "
                "use --multi_gpu, on a computer without a GPU too."
            )
        self.number, self.count = state.process_index, state.num_processes
        self.device = str(state.device) if state.distributed_type == DistributedType.MULTI_GPU else "cpu"
        self._inside = False

    def tell(self, what: Any) -> None:
        _together(dist.broadcast_object_list, [what], src=0)

    def told(self) -> Any:
        box: list[Any] = [None]
        _together(dist.broadcast_object_list, box, src=0)
        return box[0]

    @torch.no_grad()
    def alike(self, parameters: Sequence[nn.Parameter]) -> None:
        for parameter in parameters:
            value = parameter.detach().contiguous()
            _together(dist.broadcast, value, src=0)
            parameter.copy_(value)

    def step(self, number: int) -> None:
        self.tell(number)
        self._inside = True

    @torch.no_grad()
    def average(self, parameters: Sequence[nn.Parameter], loss: float) -> float:
        """A parameter that has no gradient in any process keeps none; the sum is taken in float32."""
        facts = [loss, *(float(parameter.grad is not None) for parameter in parameters)]
        sums = torch.tensor(facts, dtype=torch.float64, device=self.device)
        _together(dist.all_reduce, sums)
        total, *there = sums.tolist()
        trained = [parameter for parameter, count in zip(parameters, there, strict=True) if count]
        for piece in pieces(trained, AT_ONCE):
            flat = torch.cat([_gradient(parameter) for parameter in piece])
            _together(dist.all_reduce, flat)
            flat /= self.count
            for parameter, value in zip(piece, flat.split([one.numel() for one in piece]), strict=True):
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                parameter.grad.copy_(value.view_as(parameter))
        self._inside = False
        return float(total / self.count)

    def end(self) -> None:
        # In the middle of a step the others wait for their gradients' mean: they see this process end.
        if self.number == 0 and not self._inside:
            with suppress(Lost):
                self.tell(None)

    def leave(self) -> None:
        """Close the connections."""
        with suppress(RuntimeError):
            dist.destroy_process_group()


def pieces(parameters: Sequence[nn.Parameter], most: int) -> Iterator[list[nn.Parameter]]:
    """The parameters in groups of at most ``most`` numbers; one that is larger stands alone."""
    group: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if group and size + parameter.numel() > most:
            yield group
            group, size = [], 0
        group.append(parameter)
        size += parameter.numel()
    if group:
        yield group


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Flat, float32; zeros where this process has none."""
    if parameter.grad is None:
        return parameter.new_zeros(parameter.numel(), dtype=torch.float32)
    return parameter.grad.detach().flatten().float()


def _together(collective: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """torch's errors say that another process has gone."""
    try:
        collective(*arguments, **options)
    except RuntimeError as error:
        raise Lost(LOST) from error
