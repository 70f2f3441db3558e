"""Weights put aside while others train: they lie in the computer's memory, and come back bit for bit."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..model.base import Model
from ..train.full_memory import out_of_memory

REST = torch.device("cpu")


@contextmanager
def away(parameters: Iterable[nn.Parameter], needed: Iterable[Tensor], model: Model) -> Iterator[None]:
    """Inside, those of a host's parameters whose memory none of ``needed`` uses lie on the CPU; their objects stay the same.

    ``model``: the borrowed modules, whose views follow.
    """
    used = {_memory(tensor) for tensor in needed}
    homes: list[tuple[nn.Parameter, torch.device]] = []
    try:
        for parameter in parameters:
            if _memory(parameter) not in used:
                homes.append((parameter, parameter.device))
                parameter.data = moved(parameter, REST)
        model.refresh()
        give_free()
        yield
    finally:
        give_free()
        try:
            _bring_back(homes)
        finally:
            model.refresh()


def _bring_back(homes: list[tuple[nn.Parameter, torch.device]]) -> None:
    """All that there is room for, at first and once more when all is freed that can be. Raises torch's error for the rest."""
    trouble: RuntimeError | None = None
    for _ in range(2):
        left = []
        for parameter, device in homes:
            try:
                parameter.data = moved(parameter, device)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                trouble = error
                left.append((parameter, device))
        if not left:
            return
        homes = left
        gc.collect()
        give_free()
    assert trouble is not None
    raise trouble


def moved(parameter: nn.Parameter, device: torch.device) -> Tensor:
    return parameter.data.to(device, copy=True)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def give_free() -> None:
    """To the GPU, what torch keeps of it for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
