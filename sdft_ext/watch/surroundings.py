"""Facts about the machine and the packages that a run uses, and releasing its memory."""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import psutil
import torch


def memory_mb() -> float:
    """Give the megabytes in use: the GPU's where one is in use, else this process's."""
    if torch.cuda.is_available() and torch.cuda.memory_allocated():
        return round(torch.cuda.memory_allocated() / 2**20, 1)
    return round(psutil.Process().memory_info().rss / 2**20, 1)


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages that a result depends on."""
    names = ("torch", "diffusers", "peft", "transformers")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


@contextmanager
def memory_released() -> Iterator[None]:
    """After the block, release the memory that its objects held."""
    try:
        yield
    finally:
        release_memory()


def release_memory() -> None:
    """Free what unused objects hold and what the allocators keep for later, in a program that goes on after a run.

    A run's parts refer to each other, so Python frees them only when it looks for cycles; and the C library keeps freed
    memory.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others return memory by themselves
        if trim is not None:
            trim(0)
