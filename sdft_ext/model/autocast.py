"""Disable autocast, on any device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Disable autocast in the context, so that operations compute in their tensors' dtype."""
    try:
        return torch.autocast(device.type, enabled=False)
    except RuntimeError:  # mps, with an older torch
        return nullcontext()
