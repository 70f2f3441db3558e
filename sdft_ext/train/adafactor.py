"""pytorch-optimizer's Adafactor (Shazeer & Stern 2018), which doesn't wait for the device at each parameter."""

from __future__ import annotations

from typing import Any

import pytorch_optimizer  # type: ignore[import-untyped]
from torch import Tensor


class AdaFactor(pytorch_optimizer.AdaFactor):
    """The library's, with a rate that stays on the device where it depends on a parameter's size.

    The library compares that size with a number in Python, which makes a GPU finish all its work first, once for each
    parameter. The results are equal, but for float32's rounding of the rate where a parameter is smaller than ``eps2``.
    """

    def get_lr(
        self, lr: float, step: int, rms: Any, relative_step: bool, warmup_init: bool, scale_parameter: bool
    ) -> Any:
        """Compute the rate; a tensor where it depends on the parameter's root mean square ``rms``."""
        if not isinstance(rms, Tensor) or scale_parameter:
            return super().get_lr(lr, step, rms, relative_step, warmup_init, scale_parameter)
        plain: float = super().get_lr(lr, step, 1.0, relative_step, warmup_init, True)
        return rms.clamp_min(self.eps2) * plain
