"""Autocast on any device and with any torch: whether it is on, and without it."""

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


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the dtype of autocast on this device; None where it is off."""
    if hasattr(torch, "get_autocast_dtype"):
        try:
            return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None
        except RuntimeError:  # mps, with torch 2.4
            return None
    older: Any = torch  # before 2.4
    if device.type == "cpu":
        return older.get_autocast_cpu_dtype() if older.is_autocast_cpu_enabled() else None
    return older.get_autocast_gpu_dtype() if older.is_autocast_enabled() else None


def computing_dtype(x: torch.Tensor) -> torch.dtype:
    """Return the dtype in which a matrix product with ``x`` is computed here: autocast's where it is on, else x's."""
    return x.dtype if x.dtype == torch.float64 else autocast_dtype(x.device) or x.dtype
