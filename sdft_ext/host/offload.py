"""Offloads weights that a run doesn't need while it steps: they are kept in the computer's memory and come back bit for
bit.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..model.base import Model
from ..out_of_memory import NOT_RESTORED, out_of_memory

CPU = torch.device("cpu")
Home = tuple[nn.Parameter, torch.device]


@contextmanager
def offloaded(
    parameters: Iterable[nn.Parameter], needed: Iterable[Tensor], model: Model, not_restored: list[Home]
) -> Iterator[None]:
    """Keep a host's parameters on the CPU inside the block, but for those whose memory a ``needed`` tensor uses.

    The parameters stay the same objects. ``model``: the borrowed modules, whose views follow. ``not_restored`` gets the
    parameters for which there is no room afterwards (see ``restore_offloaded``), and torch's error is raised.
    """
    used = {_memory(tensor) for tensor in needed}
    already = {id(parameter) for parameter, _ in not_restored}
    homes: list[Home] = []
    try:
        for parameter in parameters:
            if _memory(parameter) not in used and id(parameter) not in already:
                homes.append((parameter, parameter.device))
                parameter.data = moved(parameter, CPU)
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
    """Restore parameters that found no room before, now that the run has released what it trained.

    Call it with the host's lock held. Where there still is no room, the user is told to load the checkpoint again.
    """
    try:
        _restore(not_restored)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        not_restored.clear()
        print(NOT_RESTORED, file=sys.stderr)


def _restore(homes: list[Home]) -> None:
    """Move parameters back to their devices, and once more after freeing memory where there was no room.

    The list keeps those that found none, and torch's error is raised.
    """
    full: RuntimeError | None = None
    for _ in range(2):
        left = []
        for parameter, device in homes:
            if parameter.is_meta:  # the host has unloaded it
                continue
            try:
                parameter.data = moved(parameter, device)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                full = error
                left.append((parameter, device))
        homes[:] = left
        if not left:
            return
        gc.collect()
        empty_cache()
    assert full is not None
    raise full


def moved(parameter: nn.Parameter, device: torch.device) -> Tensor:
    """Copy a parameter's values to a device."""
    return parameter.data.to(device, copy=True)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def empty_cache() -> None:
    """Give the GPU memory that torch keeps for later back to the GPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
