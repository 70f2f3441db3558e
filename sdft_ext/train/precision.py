"""The precision of the computation: autocast, loss scaling, gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..recipe import Precision as Name
from ..recipe import RecipeError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


LOWEST_SCALE = 2.0**-20
"""A loss scale that fell this far has overflowed dozens of times in a row: the gradients themselves are broken."""


class Steps(Protocol):
    """An optimizer, or what wraps one."""

    def step(self) -> Any: ...


class Precision:
    """Runs the forward pass in the recipe's precision. With fp16, losses are scaled so that small gradients don't
    vanish.

    Raises RecipeError where this version of torch can't compute so on this device.
    """

    def __init__(self, name: Name, device: torch.device) -> None:
        self.name, self.device = name, device
        self.scaler = _scaler(device) if name == "fp16" else None

    def refuse_mixed(self, dtypes: set[torch.dtype]) -> None:
        """Raise RecipeError where the device can't compute in this precision with weights of these dtypes.

        A CPU's norms take float32 weights, or those of the precision itself; not the other half precision.
        """
        other = {"bf16": "fp16", "fp16": "bf16"}.get(self.name)
        if self.device.type == "cpu" and other is not None and DTYPES[other] in dtypes:
            raise RecipeError(
                f"The model is loaded in {other}, which a CPU can't compute with in {self.name}: set train.precision "
                f"to {other}, "
                "or load the model in float32 (the WebUI's --no-half)."
            )

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute matrix products and convolutions in the precision inside the block; weights and sums stay float32."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.name])

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss, scaled with fp16."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def step(self, optimizer: Steps, parameters: Sequence[nn.Parameter], clip_norm: float) -> float:
        """Unscale the gradients, clip them to ``clip_norm`` (0: don't), and step. Returns their norm before clipping.

        No weight moves where that norm is NaN or infinite. With fp16 that is an overflow now and then: the scale is
        halved, and the next step is as good as any. Without a scaler, or with a scale that no longer helps, see
        ``broken``.
        """
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, clip_norm or math.inf))
        if self.scaler is not None:
            self.scaler.step(optimizer)
            self.scaler.update()
        elif math.isfinite(norm):
            optimizer.step()
        return norm

    def broken(self, norm: float) -> bool:
        """Tell whether a gradient of this norm means that the training can't go on."""
        if self.scaler is None:
            return not math.isfinite(norm)
        return float(self.scaler.get_scale()) < LOWEST_SCALE

    def state(self) -> dict[str, Any]:
        """Give the scaler's state; empty where there is no scaler."""
        return {} if self.scaler is None else dict(self.scaler.state_dict())

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        if self.scaler is not None and state:
            # A new scaler: the old one may be in the middle of a step that ran out of memory, and would refuse the
            # next.
            self.scaler = _scaler(self.device)
            self.scaler.load_state_dict(state)


def _scaler(device: torch.device) -> Any:
    if hasattr(torch.amp, "GradScaler"):
        # 65536 suits a GPU's long runs; the small models that train on a CPU overflow less with a lower start.
        return torch.amp.GradScaler(device.type, init_scale=1024.0 if device.type == "cpu" else 65536.0)
    if device.type == "cuda":
        return torch.cuda.amp.GradScaler()
    raise RecipeError("train.precision: fp16 on the CPU needs torch 2.3 or newer; choose bf16 or fp32.")
