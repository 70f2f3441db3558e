"""Randomness as a function, not a state.

Every draw of a run comes from a generator keyed by (seed, purpose, numbers): the same key gives the same draw, whatever
was drawn before, in this process or another. So a resumed run repeats the draws of one that was never stopped.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def key(seed: int, purpose: str, *numbers: int) -> int:
    """Return the 63-bit seed of a draw: BLAKE2b of (seed, purpose, numbers)."""
    text = repr((int(seed), purpose, tuple(int(n) for n in numbers)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return a numpy generator for a draw."""
    return np.random.Generator(np.random.PCG64(key(seed, purpose, *numbers)))


def generator(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """Return a torch generator for a draw, on the CPU, where draws don't depend on the device."""
    import torch

    return torch.Generator("cpu").manual_seed(key(seed, purpose, *numbers))


@contextmanager
def forked(seed: int, purpose: str, *numbers: int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch for library code that draws from them; restore them after.

    Other threads must not draw meanwhile; in a host, its lock ensures that.
    """
    import torch

    derived = key(seed, purpose, *numbers)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.random.manual_seed(derived)
        random.seed(derived)
        np.random.seed(derived % 2**32)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
