"""How busy the GPU is that trains. Load and temperature come from NVIDIA's library, through the package nvidia-ml-py:
where that isn't installed, nothing is known, and nothing is installed for it.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

MB = 2**20


def device_load(device: str) -> dict[str, Any] | None:
    """Return ``load`` in percent, ``temperature`` in °C, ``used_mb`` and ``total_mb`` of a device such as "cuda:0".

    Used memory is that of all programs. None for another device, and where the driver or the package doesn't say.
    """
    if not device.startswith("cuda") or importlib.util.find_spec("pynvml") is None:
        return None
    import torch

    pynvml: Any = importlib.import_module("pynvml")
    try:
        free, total = torch.cuda.mem_get_info(device)
        load, temperature = torch.cuda.utilization(device), torch.cuda.temperature(device)
    except (pynvml.NVMLError, RuntimeError, ModuleNotFoundError, AttributeError):
        return None  # no driver, a GPU that doesn't measure itself, or an old torch
    return {"load": load, "temperature": temperature, "used_mb": (total - free) / MB, "total_mb": total / MB}
