"""Switching autocast off, on any device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Inside, each operation computes in its tensors' format. On a device without autocast, do nothing."""
    try:
        return torch.autocast(device.type, enabled=False)
    except RuntimeError:  # mps, with an older torch
        return nullcontext()
