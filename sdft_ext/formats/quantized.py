"""Recognize models whose weights are stored as codes: without their scales, the numbers mean nothing.

ComfyUI's scaled fp8 has a marker, ``scaled_fp8``, and a factor next to each weight, ``….scale_weight``. bitsandbytes'
nf4, fp4 and int8 (Forge, diffusers) have codes of whole numbers, with their scales next to them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ..errors import ModelError

SCALED = ("scaled_fp8", ".scale_weight", ".weight_scale", ".scale_input", ".comfy_quant")
FOUR_BITS = (".absmax", ".quant_map", ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")
EIGHT_BITS = (".SCB", ".weight_format")


def quantization(dtypes: Mapping[str, torch.dtype]) -> str:
    """Return how a model's weights are quantized; '' where they are plain numbers."""
    for endings, what in ((SCALED, "scaled fp8"), (FOUR_BITS, "4 bits (nf4 or fp4)"), (EIGHT_BITS, "int8")):
        if any(key.endswith(endings) for key in dtypes):
            return what
    whole = (key for key, dtype in dtypes.items() if key.endswith(".weight") and not dtype.is_floating_point)
    key = next(whole, "")
    return f"{str(dtypes[key]).removeprefix('torch.')} (such as {key})" if key else ""


def refuse_quantized(dtypes: Mapping[str, torch.dtype], name: str) -> None:
    """Raise ModelError for a quantized model."""
    if what := quantization(dtypes):
        raise ModelError(
            f"{name} is quantized to {what}: its weights are codes whose scales are stored apart. Choose the model in "
            "fp16, bf16 or fp32."
        )
