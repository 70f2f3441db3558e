"""peft's LoRA layers, whose product with x is one autograd function (``products.LowRank``) where it can be.

Where it can't, peft computes it: with a rank dropout in training, around another adapter, around a layer that somebody
listens to, and outside autocast where the layer's weight isn't in the adapter's dtype.
"""

from __future__ import annotations

from typing import Any

from peft.tuners.lora import Conv2d, Linear
from torch import Tensor, nn
from torch.nn import functional

from ..model.autocast import autocast_dtype
from .products import LowRank, is_plain


class LoraLinear(Linear):
    """A linear layer with a LoRA."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        found = None if args or kwargs else _product(self, x)
        return super().forward(x, *args, **kwargs) if found is None else found


class LoraConv2d(Conv2d):
    """A convolution with a LoRA."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        found = None if args or kwargs else _product(self, x)
        return super().forward(x, *args, **kwargs) if found is None else found


def _product(layer: Any, x: Tensor) -> Tensor | None:
    """Compute the layer's product; None where peft has to."""
    modules = layer._modules
    base, (down,), (up,) = modules["base_layer"], *(modules[name]._modules.values() for name in ("lora_A", "lora_B"))
    if layer._disable_adapters or layer.merged_adapters or not is_plain(base):
        return None
    if layer.training and (down._forward_hooks or up._forward_pre_hooks):
        return None
    if not x.dtype == base.weight.dtype == down.weight.dtype and autocast_dtype(x.device) is None:
        return None
    (dropout,), (scale,) = modules["lora_dropout"]._modules.values(), layer.scaling.values()
    dropped = None
    if layer.training and isinstance(dropout, nn.Dropout):
        # peft widens x first, so that a dropout's factor isn't rounded.
        dropped = functional.dropout(x.to(down.weight.dtype), dropout.p)
    found: Tensor = LowRank.apply(base, scale, True, x, dropped, down.weight, up.weight, None)
    return found
