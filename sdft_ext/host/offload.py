"""Weights put aside while others train: they lie in the computer's memory, and come back bit for bit."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..model.base import Model
from ..out_of_memory import NOT_RESTORED, out_of_memory

REST = torch.device("cpu")
Home = tuple[nn.Parameter, torch.device]


@contextmanager
def offloaded(
    parameters: Iterable[nn.Parameter], needed: Iterable[Tensor], model: Model, not_restored: list[Home]
) -> Iterator[None]:
    """Inside, those of a host's parameters whose memory none of ``needed`` uses lie on the CPU; their objects stay the same.

    ``model``: the borrowed modules, whose views follow. ``stranded`` gets those for which there is no room afterwards, and torch's
    error is raised: see ``bring_home``.
    """
    used = {_memory(tensor) for tensor in needed}
    already = {id(parameter) for parameter, _ in not_restored}
    homes: list[Home] = []
    try:
        for parameter in parameters:
            if _memory(parameter) not in used and id(parameter) not in already:
                homes.append((parameter, parameter.device))
                parameter.data = moved(parameter, REST)
        model.refresh()
        empty_cache()
        yield
    finally:
        empty_cache()
        try:
            not_restored += homes
            _restore(not_restored)
        finally:
            model.refresh()


def restore_offloaded(not_restored: list[Home]) -> None:
    """When a run gives its model back, and with it what it trained: what found no room before. Call it with the host's lock held."""
    try:
        _restore(not_restored)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        not_restored.clear()
        print(NOT_RESTORED, file=sys.stderr)


def _restore(homes: list[Home]) -> None:
    """All that there is room for, at first and once more when all is freed that can be; those stay in the list that have found
    none, and torch's error is raised."""
    trouble: RuntimeError | None = None
    for _ in range(2):
        left = []
        for parameter, device in homes:
            if parameter.is_meta:  # its host has thrown it away
                continue
            try:
                parameter.data = moved(parameter, device)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                trouble = error
                left.append((parameter, device))
        homes[:] = left
        if not left:
            return
        gc.collect()
        empty_cache()
    assert trouble is not None
    raise trouble


def moved(parameter: nn.Parameter, device: torch.device) -> Tensor:
    return parameter.data.to(device, copy=True)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def empty_cache() -> None:
    """To the GPU, what torch keeps of it for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
