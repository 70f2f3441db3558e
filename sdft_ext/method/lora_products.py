"""peft's LoRA layers, whose product with x is one autograd function where it can be.

Functions of their own serve a linear layer, a 1×1 convolution of one picture and any other convolution, with as few
operations as there are products: on small layers, and on a GPU, the number of operations is what a step waits for.
``products.LowRank`` serves those with dropout. Where neither can, peft computes it: with a rank dropout in training,
around another adapter, around a layer that somebody listens to, and outside autocast where the layer's weight isn't in
the adapter's dtype.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Conv2d, Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..model.autocast import autocast_dtype
from .products import ADAPTER, LowRank, convolution_backward, is_plain, is_pointwise


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


class OfLinear(torch.autograd.Function):
    """(x, weight, bias, down, up, scale), all in one dtype → W·x + bias + scale·up·down·x."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        x, weight, bias, down, up, scale = given
        rows = x.reshape(-1, x.shape[-1])
        result = functional.linear(rows, weight, bias)
        inner = rows.mm(down.t())
        result.addmm_(inner, up.t(), alpha=scale)
        ctx.save_for_backward(rows, weight, down, up, inner)
        ctx.scale, ctx.shape = scale, x.shape
        return result.view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        rows, weight, down, up, inner = ctx.saved_tensors
        of_x, _, _, of_down, of_up, _ = ctx.needs_input_grad
        rows_of = gradient.reshape(-1, gradient.shape[-1])
        of_inner = _scaled(rows_of.mm(up), ctx.scale)
        grad_up = _scaled(rows_of.t().mm(inner), ctx.scale) if of_up else None
        grad_down = of_inner.t().mm(rows) if of_down else None
        grad_x = rows_of.mm(weight).addmm_(of_inner, down).view(ctx.shape) if of_x else None
        return grad_x, None, None, grad_down, grad_up, None


class OfPixels(torch.autograd.Function):
    """The same for a 1×1 convolution of one picture [1, in, h, w]: its pixels are the columns of a matrix."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        x, weight, bias, down, up, scale = given
        columns = x.reshape(x.shape[1], -1)
        low, high = down.view(down.shape[:2]), up.view(up.shape[:2])
        matrix = weight.view(weight.shape[:2])
        result = matrix.mm(columns) if bias is None else torch.addmm(bias[:, None], matrix, columns)
        inner = low.mm(columns)
        result.addmm_(high, inner, alpha=scale)
        ctx.save_for_backward(columns, matrix, low, high, inner)
        ctx.scale, ctx.shapes = scale, (x.shape, down.shape, up.shape)
        return result.view(1, -1, *x.shape[2:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        columns, matrix, low, high, inner = ctx.saved_tensors
        of_x, _, _, of_down, of_up, _ = ctx.needs_input_grad
        columns_of = gradient.reshape(gradient.shape[1], -1)
        x, down, up = ctx.shapes
        of_inner = _scaled(high.t().mm(columns_of), ctx.scale)
        grad_up = _scaled(columns_of.mm(inner.t()), ctx.scale).view(up) if of_up else None
        grad_down = of_inner.mm(columns.t()).view(down) if of_down else None
        grad_x = matrix.t().mm(columns_of).addmm_(low.t(), of_inner).view(x) if of_x else None
        return grad_x, None, None, grad_down, grad_up, None


class OfConvolution(torch.autograd.Function):
    """(x, weight, bias, down, up, scale, base), all in one dtype → the same for any convolution in one group."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        x, weight, bias, down, up, scale, base = given
        geometry = base.stride, base.padding, base.dilation
        result = functional.conv2d(x, weight, bias, *geometry)
        inner = functional.conv2d(x, down, None, *geometry)
        if len(x) == 1 and result.is_contiguous() and inner.is_contiguous():
            columns = inner.view(inner.shape[1], -1)
            result.view(result.shape[1], -1).addmm_(up.view(up.shape[:2]), columns, alpha=scale)
        else:
            result.add_(functional.conv2d(inner, up), alpha=scale)
        ctx.save_for_backward(x, weight, down, up, inner)
        ctx.scale, ctx.base = scale, base
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        x, weight, down, up, inner = ctx.saved_tensors
        base, (of_x, _, _, of_down, of_up, *_) = ctx.base, ctx.needs_input_grad
        if len(x) == 1 and gradient.is_contiguous() and inner.is_contiguous():
            columns = gradient.view(gradient.shape[1], -1)
            of_inner = up.view(up.shape[:2]).t().mm(columns).view(inner.shape)
            grad_up = columns.mm(inner.view(inner.shape[1], -1).t()).view(up.shape) if of_up else None
        else:
            of_inner, grad_up = convolution_backward(None, gradient, inner, up, (True, of_up))
        of_inner = _scaled(of_inner, ctx.scale)
        grad_x, grad_down = convolution_backward(base, of_inner, x, down, (of_x, of_down))
        if of_x:
            grad_x.add_(convolution_backward(base, gradient, x, weight, (True, False))[0])
        return grad_x, None, None, grad_down, None if grad_up is None else _scaled(grad_up, ctx.scale), None, None


def _scaled(value: Any, scale: float) -> Any:
    return value if scale == 1 else value.mul_(scale)


def _product(layer: Any, x: Tensor) -> Tensor | None:
    """Compute the layer's product; None where peft has to."""
    modules = layer._modules
    base = modules["base_layer"]
    if layer._disable_adapters or layer.merged_adapters or not is_plain(base):
        return None
    low, high = modules["lora_A"]._modules[ADAPTER], modules["lora_B"]._modules[ADAPTER]
    own = base._parameters
    weight, bias, down, up = own["weight"], own["bias"], low._parameters["weight"], high._parameters["weight"]
    dtype, scale = autocast_dtype(x.device), layer.scaling[ADAPTER]
    if dtype is None:
        dtype = x.dtype
        if weight.dtype != dtype or down.dtype != dtype:
            return None
    found: Tensor
    if layer.training:
        if low._forward_hooks or high._forward_pre_hooks:
            return None
        dropout = modules["lora_dropout"]._modules[ADAPTER]
        if type(dropout) is nn.Dropout:
            # peft widens x first, so that a dropout's factor isn't rounded.
            dropped = functional.dropout(x.to(down.dtype), dropout.p)
            found = LowRank.apply(base, scale, True, x, dropped, down, up, None)
            return found
    if x.dtype != dtype or weight.dtype != dtype or down.dtype != dtype:
        x, weight, down, up = (value.to(dtype) for value in (x, weight, down, up))
        bias = None if bias is None else bias.to(dtype)
    if isinstance(base, nn.Linear):
        found = OfLinear.apply(x, weight, bias, down, up, scale)
    elif len(x) == 1 and is_pointwise(base) and x.is_contiguous():
        found = OfPixels.apply(x, weight, bias, down, up, scale)
    else:
        found = OfConvolution.apply(x, weight, bias, down, up, scale, base)
    return found
