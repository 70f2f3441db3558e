"""Products of adapters as one autograd function a layer: fewer operations than their formulas have, equal results.

A frozen linear layer or convolution W, and beside it a low-rank change (LoRA, DoRA, LoHa) or a Kronecker product
(LoKr). No matrix of the weight's size is made, and only what the formula reads is kept for the backward pass. A 1×1
convolution is computed as a matrix product: [out, in] times [in, h·w] for each picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..model.autocast import computing_dtype

Base: TypeAlias = nn.Linear | nn.Conv2d
PLAIN = (nn.Linear.forward, nn.Conv2d.forward)
ADAPTER = "default"
"""The name that peft has for the one adapter of a layer."""
CONVOLUTION_BACKWARD = torch.ops.aten.convolution_backward.default


def is_plain(module: nn.Module) -> bool:
    """Tell whether a module computes its frozen weight's product and nothing else, so that a function here may do it.

    Not so with hooks, with a forward of its own, in groups, or with another padding than zeros.
    """
    own = module.__dict__
    if type(module).forward not in PLAIN or "forward" in own or own["_parameters"]["weight"].requires_grad:
        return False
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        return False
    return not isinstance(module, nn.Conv2d) or is_usual(module)


def is_usual(base: nn.Module) -> bool:
    """Tell whether a layer is linear, or a convolution in one group, padded with a number of zeros."""
    if not isinstance(base, nn.Conv2d):
        return True
    return base.groups == 1 and base.padding_mode == "zeros" and not isinstance(base.padding, str)


def is_pointwise(base: nn.Conv2d) -> bool:
    """Tell whether a convolution is a matrix product for each pixel."""
    return base.kernel_size == (1, 1) and base.stride == (1, 1) and base.padding == (0, 0)


class LowRank(torch.autograd.Function):
    """(base, scale, with base, x, dropped x or None, down, up, factor or None) → W·x + scale·up·down·x.

    ``dropped`` is what the change reads after dropout; without it, x. ``factor`` [in] is DoRA's: each input's column
    of the changed weight is multiplied by it, and W then gets x + (factor - 1)·dropped. The weight in half precision
    gets the two summands apart: in their sum, a change below a thousandth of x would be rounded away. Without the base
    only the change is computed, and there must be no factor.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        base, scale, with_base, x, dropped, down, up, factor = given
        read = x if dropped is None else dropped
        dtype = computing_dtype(x)
        low, high = down.to(dtype), up.to(dtype)
        changed = read if factor is None else read * _as_channels(factor, base)
        weight, result = None, None
        if with_base:
            weight = base.weight.to(dtype)
            result = _weighted(base, x, read, changed, factor, weight)
        result, inner = _add_low_rank(base, changed.to(dtype), low, high, result, scale)
        ctx.save_for_backward(read if factor is not None else read.to(dtype), weight, low, high, inner, factor)
        ctx.base, ctx.scale, ctx.apart = base, scale, dropped is not None
        ctx.dtypes = x.dtype, read.dtype, down.dtype, up.dtype
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        read, weight, low, high, inner, factor = ctx.saved_tensors
        base, wanted = ctx.base, ctx.needs_input_grad
        channels = None if factor is None else _as_channels(factor, base)
        changed = read if channels is None else (read * channels).to(gradient.dtype)
        through = wanted[3] or wanted[4] or wanted[7]
        of_x = _weight_backward(base, gradient, changed, weight) if through and weight is not None else None
        of_inner = _times_transposed(base, gradient, high, ctx.scale)
        of_up = _outer(base, gradient, inner, ctx.scale).view(high.shape) if wanted[6] else None
        onto = None if ctx.apart else of_x
        of_read, of_down = _down_backward(base, of_inner, changed, low, (through, wanted[5]), onto)
        of_factor = None
        if channels is not None and of_read is not None:
            both = of_read if of_x is None or of_x is of_read else of_read.add_(of_x)
            if wanted[7]:
                of_factor = _sum_to_channels(base, both * read.float())
            of_read = both.mul_(channels)
            if ctx.apart:
                of_read -= of_x
        of_x, of_read = (of_x, of_read) if ctx.apart else (of_read, None)
        x, read_in, down, up = ctx.dtypes
        return (
            None,
            None,
            None,
            _cast(of_x, x) if wanted[3] else None,
            _cast(of_read, read_in) if wanted[4] else None,
            _cast(of_down, down),
            _cast(of_up, up),
            None if of_factor is None else of_factor.to(factor.dtype),
        )


class KhatriRao(torch.autograd.Function):
    """(base, scale, with base, x, a1 [out, r], b1 [r, in·kernel], a2, b2) → W·x + scale·((a1·b1) ∘ (a2·b2))·x: a LoHa.

    The elementwise product of two matrices of rank r is one of rank r²: up is the row-wise Kronecker product of a1 and
    a2, down the column-wise one of b1 and b2 (Khatri and Rao 1968). Both are computed again in the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        base, scale, with_base, x, *factors = given
        dtype = computing_dtype(x)
        of, x = x.dtype, x.to(dtype)
        low, high = _of_rank_squared(base, factors, dtype)
        weight = base.weight.to(dtype) if with_base else None
        result = None if weight is None else _product(base, x, weight, _bias(base, dtype))
        result, inner = _add_low_rank(base, x, low, high, result, scale)
        ctx.save_for_backward(x, weight, inner, *factors)
        ctx.base, ctx.scale, ctx.dtype = base, scale, of
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inner, *factors = ctx.saved_tensors
        base, wanted = ctx.base, ctx.needs_input_grad
        low, high = _of_rank_squared(base, factors, gradient.dtype)
        a1, b1, a2, b2 = factors
        onto = _weight_backward(base, gradient, x, weight) if wanted[3] and weight is not None else None
        of_inner = _times_transposed(base, gradient, high, ctx.scale)
        grad_x, grad_low = _down_backward(base, of_inner, x, low, (wanted[3], any(wanted[4:])), onto)
        grads: tuple[Tensor | None, ...] = (None,) * 4
        if grad_low is not None:
            of_up = _outer(base, gradient, inner, ctx.scale).to(a1.dtype).view(len(a1), a1.shape[1], -1)
            of_down = grad_low.to(b1.dtype).reshape(len(b1), len(b2), -1)
            grads = (
                (of_up * a2[:, None]).sum(2),
                (of_down * b2).sum(1),
                (of_up * a1[:, :, None]).sum(1),
                (of_down * b1[:, None]).sum(0),
            )
        return None, None, None, _cast(grad_x, ctx.dtype), *grads


class Kronecker(torch.autograd.Function):
    """(base, with base, x, w1 [o1, i1], w2 [o2, i2(, kh, kw)]) → W·x + (w1 ⊗ w2)·x: a LoKr.

    w2 multiplies each of the i1 parts of x, then w1 those. w2's product is computed again in the backward pass: it is
    as large as the output, and cheap.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        base, with_base, x, w1, w2 = given
        dtype = computing_dtype(x)
        ctx.base, ctx.dtypes = base, (x.dtype, w1.dtype, w2.dtype)
        x, first, second = x.to(dtype), w1.to(dtype), w2.to(dtype)
        weight = base.weight.to(dtype) if with_base else None
        ctx.save_for_backward(x, weight, first, second)
        inner, shape = _by_parts(base, x, first, second)
        if weight is None:
            return _times(first, inner).view(shape)
        result = _product(base, x, weight, _bias(base, dtype))
        parts = result.view(len(inner), len(first), -1) if result.is_contiguous() else None
        if parts is None:
            return result.add_(_times(first, inner).view(shape))
        return parts.baddbmm_(first.expand(len(inner), -1, -1), inner).view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, first, second = ctx.saved_tensors
        base, (_, _, of_x, of_first, of_second) = ctx.base, ctx.needs_input_grad
        parts = _in_parts(base, x, first.shape[1])
        lead = len(parts) if isinstance(base, nn.Linear) else len(x)
        outer = gradient.reshape(lead, len(first), -1)
        grad_first = None
        if of_first:
            inner, _ = _by_parts(base, x, first, second)
            grad_first = _summed(outer, inner)
        of_inner = _times(first.t(), outer)
        if isinstance(base, nn.Linear):
            rows = of_inner.view(-1, second.shape[0])
            grad_x = rows @ second if of_x else None
            grad_second = rows.t() @ parts.reshape(-1, parts.shape[-1]) if of_second else None
        else:
            of_parts = of_inner.view(lead * first.shape[1], second.shape[0], *gradient.shape[2:])
            grad_x, grad_second = convolution_backward(base, of_parts, parts, second, (of_x, of_second))
        if grad_x is not None:
            grad_x = grad_x.reshape(x.shape)
            if weight is not None:
                grad_x.add_(_weight_backward(base, gradient, x, weight))
        a, b, c = ctx.dtypes
        return None, None, _cast(grad_x, a), _cast(grad_first, b), _cast(grad_second, c)


def _of_rank_squared(base: Base, factors: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return down [r², in(, kh, kw)] and up [out, r²(, 1, 1)] of a LoHa's factors."""
    a1, b1, a2, b2 = factors
    rank = len(b1) * len(b2)
    down = (b1[:, None] * b2).to(dtype).view(rank, *base.weight.shape[1:])
    return down, (a1[:, :, None] * a2[:, None]).to(dtype).view(len(a1), rank, *(1 for _ in base.weight.shape[2:]))


def _weighted(base: Base, x: Tensor, read: Tensor, changed: Tensor, factor: Tensor | None, weight: Tensor) -> Tensor:
    """Compute the base's own product, with DoRA's factors."""
    dtype, bias = weight.dtype, _bias(base, weight.dtype)
    if factor is None:
        return _product(base, x.to(dtype), weight, bias)
    if dtype == torch.float32:
        return _product(base, changed if read is x else x + changed - read, weight, bias)
    result = _product(base, x.to(dtype), weight, bias)
    return result.add_(_product(base, (read * (_as_channels(factor, base) - 1)).to(dtype), weight, None))


def _bias(base: Base, dtype: torch.dtype) -> Tensor | None:
    return None if base.bias is None else base.bias.to(dtype)


def _product(base: Base, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if isinstance(base, nn.Linear):
        return functional.linear(x, weight, bias)
    return functional.conv2d(x, weight, bias, base.stride, base.padding, base.dilation)


def _add_low_rank(
    base: Base, x: Tensor, low: Tensor, high: Tensor, onto: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Add scale·up·down·x onto a result, or return it alone; and return down·x: [P, r], or [n, r, h·w]."""
    if isinstance(base, nn.Linear):
        inner = x.reshape(-1, x.shape[-1]) @ low.t()
        if onto is not None:
            onto.view(-1, onto.shape[-1]).addmm_(inner, high.t(), alpha=scale)
            return onto, inner
        return (inner @ high.t()).mul_(scale).view(*x.shape[:-1], -1), inner
    if is_pointwise(base):
        inner, spatial = _times(low.flatten(1), x.flatten(2)), x.shape[2:]
    else:
        found = _product(base, x, low, None)
        inner, spatial = found.flatten(2), found.shape[2:]
    columns = high.flatten(1)
    if onto is None:
        return _times(columns, inner).mul_(scale).view(len(x), -1, *spatial), inner
    if len(x) == 1:
        onto[0].view(len(columns), -1).addmm_(columns, inner[0], alpha=scale)
        return onto, inner
    onto.view(*onto.shape[:2], -1).baddbmm_(columns.expand(len(x), -1, -1), inner, alpha=scale)
    return onto, inner


def _times_transposed(base: Base, gradient: Tensor, high: Tensor, scale: float) -> Tensor:
    """Compute the gradient of down·x: [P, r], or [n, r, h·w]."""
    if isinstance(base, nn.Linear):
        found = gradient.reshape(-1, gradient.shape[-1]) @ high
    else:
        found = _times(high.flatten(1).t(), gradient.flatten(2))
    return found if scale == 1 else found.mul_(scale)


def _outer(base: Base, gradient: Tensor, inner: Tensor, scale: float) -> Tensor:
    """Compute the gradient of ``up``, flattened to [out, r]."""
    if isinstance(base, nn.Linear):
        found = gradient.reshape(-1, gradient.shape[-1]).t() @ inner
    else:
        found = _summed(gradient.flatten(2), inner)
    return found if scale == 1 else found.mul_(scale)


def _down_backward(
    base: Base, of_inner: Tensor, x: Tensor, low: Tensor, wanted: tuple[bool, bool], onto: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Compute the gradients of x, added to ``onto`` if there is one, and of ``down``, from that of down·x."""
    of_x, of_low = wanted
    grad_x = onto
    if isinstance(base, nn.Linear):
        if of_x and onto is not None:
            onto.view(-1, onto.shape[-1]).addmm_(of_inner, low)
        elif of_x:
            grad_x = (of_inner @ low).view(x.shape)
        return grad_x, (of_inner.t() @ x.reshape(-1, x.shape[-1]) if of_low else None)
    if is_pointwise(base):
        if of_x and onto is not None and len(x) == 1:
            onto[0].view(onto.shape[1], -1).addmm_(low.flatten(1).t(), of_inner[0])
        elif of_x:
            added = _times(low.flatten(1).t(), of_inner).view(x.shape)
            grad_x = added if onto is None else onto.add_(added)
        return grad_x, (_summed(of_inner, x.flatten(2)).view(low.shape) if of_low else None)
    sides = [
        (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for side, padding, dilation, kernel, stride in zip(
            x.shape[2:], base.padding, base.dilation, base.kernel_size, base.stride, strict=True
        )
    ]
    found, grad_low = convolution_backward(base, of_inner.view(len(x), -1, *sides), x, low, wanted)
    if onto is not None and found is not None:
        found = onto.add_(found)
    return found, grad_low


def _weight_backward(base: Base, gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Compute the gradient of x through the base; of a convolution's x only the shape counts."""
    if isinstance(base, nn.Linear):
        return gradient @ weight
    found, _ = convolution_backward(base, gradient, x, weight, (True, False))
    assert found is not None
    return found


def convolution_backward(
    base: nn.Conv2d | None, gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]
) -> tuple[Any, Any]:
    """Compute the gradients of x and weight of a convolution like ``base``; without it, of a plain 1×1."""
    geometry = ((1, 1), (0, 0), (1, 1)) if base is None else (base.stride, base.padding, base.dilation)
    found = CONVOLUTION_BACKWARD(gradient, x, weight, None, *geometry, False, (0, 0), 1, (*wanted, False))
    return found[0], found[1]


def _in_parts(base: Base, x: Tensor, count: int) -> Tensor:
    """Return x as [P, i1, i2] or [n·i1, i2, h, w]."""
    if isinstance(base, nn.Linear):
        return x.reshape(-1, count, x.shape[-1] // count)
    return x.reshape(len(x) * count, x.shape[1] // count, *x.shape[2:])


def _by_parts(base: Base, x: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Compute w2's product of each part of x: [P, i1, o2] or [n, i1, o2·h'·w']; and the whole product's shape."""
    count, out = first.shape[1], first.shape[0] * second.shape[0]
    parts = _in_parts(base, x, count)
    if isinstance(base, nn.Linear):
        return (parts.reshape(-1, parts.shape[-1]) @ second.t()).view(-1, count, len(second)), (*x.shape[:-1], out)
    if is_pointwise(base):
        found, spatial = _times(second.flatten(1), parts.flatten(2)), x.shape[2:]
    else:
        made = _product(base, parts, second, None)
        found, spatial = made, made.shape[2:]
    return found.reshape(len(x), count, len(second) * math.prod(spatial)), (len(x), out, *spatial)


def _times(matrix: Tensor, x: Tensor) -> Tensor:
    """Compute matrix·x for each of [n, b, L]: matmul would transpose x, and copy it."""
    if len(x) == 1:
        return torch.mm(matrix, x[0])[None]
    return torch.bmm(matrix.expand(len(x), -1, -1), x)


def _summed(one: Tensor, other: Tensor) -> Tensor:
    """Compute Σ one·otherᵀ over the first axis: [n, a, L] and [n, b, L] → [a, b]."""
    if len(one) == 1:
        return one[0] @ other[0].t()
    return torch.bmm(one, other.transpose(1, 2)).sum(0)


def _as_channels(factor: Tensor, base: Base) -> Tensor:
    return factor if isinstance(base, nn.Linear) else factor[:, None, None]


def _sum_to_channels(base: Base, values: Tensor) -> Tensor:
    if isinstance(base, nn.Linear):
        return values.reshape(-1, values.shape[-1]).sum(0, dtype=torch.float32)
    return values.sum((0, 2, 3), dtype=torch.float32)


def _cast(gradient: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if gradient is None else gradient.to(dtype)
