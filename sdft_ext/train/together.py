"""Several processes, each with a copy of what trains: started by Hugging Face Accelerate, joined by torch's
collectives.
"""

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
from .processes import Processes, ProcessLost

PATIENCE = timedelta(days=7)
"""How long the others wait for a main process that is drawing, saving or paused. One that has died is noticed at
once.
"""
AT_ONCE = 2**24
"""Most numbers that are averaged in one piece."""
ANOTHER_ENDED = "Another process of this run has ended; its own message is above. Fix that, then resume."


class Together(Processes):
    """One of several processes. All take part in the collectives in the order of the main process's run.

    Raises RecipeError for kinds of processes that are untested.
    """

    def __init__(self, on_cpu: bool) -> None:
        state = PartialState(cpu=on_cpu, timeout=PATIENCE)
        if state.distributed_type not in (DistributedType.MULTI_CPU, DistributedType.MULTI_GPU):
            raise RecipeError(
                f"accelerate launch has started processes of the kind {state.distributed_type}, which is untested: use "
                "--multi_gpu, on a computer without a GPU too."
            )
        self.number, self.count = state.process_index, state.num_processes
        self.device = str(state.device) if state.distributed_type == DistributedType.MULTI_GPU else "cpu"
        self._in_step = False

    def send(self, what: Any) -> None:
        _collective(dist.broadcast_object_list, [what], src=0)

    def receive(self) -> Any:
        box: list[Any] = [None]
        _collective(dist.broadcast_object_list, box, src=0)
        return box[0]

    @torch.no_grad()
    def broadcast(self, parameters: Sequence[nn.Parameter]) -> None:
        for parameter in parameters:
            value = parameter.detach().contiguous()
            _collective(dist.broadcast, value, src=0)
            parameter.copy_(value)

    def step(self, number: int) -> None:
        self.send(number)
        self._in_step = True

    @torch.no_grad()
    def average(self, parameters: Sequence[nn.Parameter], loss: float) -> float:
        """Average as ``Processes`` says, in float32. A parameter that has no gradient in any process keeps none."""
        facts = [loss, *(float(parameter.grad is not None) for parameter in parameters)]
        sums = torch.tensor(facts, dtype=torch.float64, device=self.device)
        _collective(dist.all_reduce, sums)
        total, *with_gradient = sums.tolist()
        trained = [parameter for parameter, count in zip(parameters, with_gradient, strict=True) if count]
        for piece in pieces(trained, AT_ONCE):
            flat = torch.cat([_gradient(parameter) for parameter in piece])
            _collective(dist.all_reduce, flat)
            flat /= self.count
            for parameter, value in zip(piece, flat.split([one.numel() for one in piece]), strict=True):
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                parameter.grad.copy_(value.view_as(parameter))
        self._in_step = False
        return float(total / self.count)

    def end(self) -> None:
        # In the middle of a step the others wait for the mean of the gradients: they see this process end.
        if self.number == 0 and not self._in_step:
            with suppress(ProcessLost):
                self.send(None)

    def leave(self) -> None:
        """Close the connections."""
        with suppress(RuntimeError):
            dist.destroy_process_group()


def pieces(parameters: Sequence[nn.Parameter], most: int) -> Iterator[list[nn.Parameter]]:
    """Group parameters into pieces of at most ``most`` numbers; a larger parameter is a piece of its own."""
    piece: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if piece and size + parameter.numel() > most:
            yield piece
            piece, size = [], 0
        piece.append(parameter)
        size += parameter.numel()
    if piece:
        yield piece


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Give the gradient flat, in float32; zeros where this process has none."""
    if parameter.grad is None:
        return parameter.new_zeros(parameter.numel(), dtype=torch.float32)
    return parameter.grad.detach().flatten().float()


def _collective(operation: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Take part in a collective. Raises ProcessLost, as torch's errors mean that another process has ended."""
    try:
        operation(*arguments, **options)
    except RuntimeError as error:
        raise ProcessLost(ANOTHER_ENDED) from error
