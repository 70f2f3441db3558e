"""LoHa, LoKr and DoRA as layers: a borrowed layer and a weight delta made of trained tensors.

A layer computes its delta's product with x from the trained tensors (``products``): DoRA by columns, LoKr by its two
sides, LoHa by factors of rank r². Only where that isn't cheaper, or where several changes meet in one layer, is the
delta itself made. It is computed in float32, as large as the weight, so it isn't kept: the backward pass computes it
again (see ``Residual``). peft's functions compute LoHa's and the Kronecker product; its layers aren't used, because its
LoKr leaves out alpha ÷ rank, and its DoRA has a magnitude for each output where the WebUI and Forge read one for each
input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from peft.tuners.loha.layer import make_weight, make_weight_cp
from peft.tuners.lokr.layer import make_kron
from peft.tuners.lokr.layer import make_weight_cp as make_tucker
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..formats import lycoris
from ..formats.lycoris import MAGNITUDE, LycorisLayer
from ..model.autocast import computing_dtype, without_autocast
from ..model.base import innermost
from .products import KhatriRao, Kronecker, LowRank, is_plain, is_usual
from .sizes import lokr_whole, split

TINY = 1e-12
DOWN, UP = lycoris.LORA
PASSES = 40
"""What the elementwise passes over a LoHa's matrix cost, as products of one number."""


class DeltaLayer(nn.Module):
    """``base`` with a weight delta made of ``tensors`` (names as in a file, see ``formats.lycoris``)."""

    def __init__(
        self,
        base: nn.Module,
        tensors: Mapping[str, Tensor],
        scale: float,
        dropout: float = 0.0,
        rank_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.base_layer = base
        self.names = tuple(tensors)
        device = _weight(base).device
        self.values = nn.ParameterList(
            nn.Parameter(value.detach().to(device, torch.float32, copy=True)) for value in tensors.values()
        )
        self.scale, self.strength = scale, 1.0
        self.dropout, self.rank_dropout = dropout, rank_dropout
        self.kind = lycoris.kind_of(tensors) if MAGNITUDE not in tensors or UP in tensors else ""
        """'' for a LoHa or LoKr with magnitudes, which only files have."""
        self._own_lengths: tuple[Tensor, int, Tensor] | None = None

    @property
    def weight(self) -> Tensor:
        """The borrowed weight: whoever asks a layer for its weight wants its shape and dtype."""
        return _weight(self.base_layer)

    @property
    def bias(self) -> Tensor | None:
        found: Any = innermost(self.base_layer).bias
        return found if isinstance(found, Tensor) else None

    def tensors(self) -> dict[str, nn.Parameter]:
        """Return the trained tensors by their names in a file."""
        return dict(zip(self.names, self.values, strict=True))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        kept = self._draw_kept() if self.training and self.rank_dropout else None
        dropped = functional.dropout(x, self.dropout) if self.training and self.dropout else None
        if self.kind == "dora" and self.strength == 1 and is_plain(self.base_layer) and not (args or kwargs):
            return self._by_columns(x, dropped, kept)
        alone = dropped is None and is_plain(self.base_layer) and not (args or kwargs)
        if self.kind == "loha" and alone and computing_dtype(x) == torch.float32 and self._best_merged(x):
            merged: Tensor = Residual.apply(self, kept, True, x, *self.values)
            return merged
        if alone and kept is None and (self.kind == "lokr" or (self.kind == "loha" and not self._best_merged(x))):
            return self._product(x, True)
        output: Tensor = self.base_layer(x, *args, **kwargs)
        return output + self._added(x if dropped is None else dropped, kept).to(output.dtype)

    def _added(self, x: Tensor, kept: Tensor | None) -> Tensor:
        """Compute delta(x) alone, by the cheapest of its forms."""
        base = innermost(self.base_layer)
        if not is_usual(base) or not (self.kind == "lokr" or (self.kind == "loha" and not self._best_merged(x))):
            apart: Tensor = Residual.apply(self, kept, False, x, *self.values)
            return apart
        added = self._product(x, False)
        if kept is not None:
            added = added * (kept.view(-1) if isinstance(base, nn.Linear) else kept.view(-1, 1, 1)).to(added.dtype)
        return added

    def _product(self, x: Tensor, with_base: bool) -> Tensor:
        """Compute a LoKr's or LoHa's product with x from its factors, alone or with that of a plain base."""
        base, tensors, scale = innermost(self.base_layer), self.tensors(), self.scale * self.strength
        found: Tensor
        if self.kind == "loha":
            found = KhatriRao.apply(base, scale, with_base, x, *(tensors[name] for name in lycoris.LOHA))
            return found
        with without_autocast(x.device):
            w1, w2 = _side(tensors, "lokr_w1") * scale, _side(tensors, "lokr_w2")
        found = Kronecker.apply(base, with_base, x, w1, w2.view(len(w2), -1, *self.weight.shape[2:]))
        return found

    def _by_columns(self, x: Tensor, dropped: Tensor | None, kept: Tensor | None) -> Tensor:
        """Compute a DoRA as (W + ΔW)·(f·x), where f are its magnitudes ÷ the lengths of the changed weight's columns.

        The lengths count as constants for the gradients, as DoRA's authors have it (their section 4.3).
        """
        base: Any = self.base_layer
        tensors = self.tensors()
        down, up = tensors[DOWN], tensors[UP]
        if kept is not None:
            down = down * kept
        factor = tensors[MAGNITUDE].reshape(-1) / self._lengths(down.detach(), up.detach())
        found: Tensor = LowRank.apply(base, self.scale, True, x, dropped, down, up, factor)
        return found

    @torch.no_grad()
    def _lengths(self, down: Tensor, up: Tensor) -> Tensor:
        """Compute the lengths [in] of the columns of W + s·up·down without making that matrix.

        |w + s·up·d|² = |w|² + 2s·⟨upᵀ·w, d⟩ + s²·⟨d, (upᵀ·up)·d⟩ for each column w and its part d of ``down``. They
        are those of W itself, to the bit, where ``up`` is 0.
        """
        weight: Any = innermost(self.base_layer).weight
        version = 0 if weight.is_inference() else weight._version
        if self._own_lengths is None or self._own_lengths[0] is not weight or self._own_lengths[1] != version:
            self._own_lengths = weight, version, column_lengths(weight.detach().float()).reshape(-1)
        own = self._own_lengths[2].to(weight.device)
        with without_autocast(weight.device):
            low, high = down.flatten(1), up.flatten(1)
            inner = high.t() @ weight.detach().float().flatten(1)
            inner.mul_(2 * self.scale).add_((high.t() @ high) @ low, alpha=self.scale**2)
            added = inner.mul_(low).view(len(low), len(own), -1).sum((0, 2))
        square = own * own
        # own·√(1 + …) instead of the plain root: exactly own where nothing is added.
        found = torch.where(square > TINY, own * (1 + added / square).clamp_min(0).sqrt(), added.clamp_min(0).sqrt())
        return found.clamp_min(TINY)

    def _best_merged(self, x: Tensor) -> bool:
        """Tell whether a LoHa's whole matrix costs less here than its factors of rank r² (see ``KhatriRao``)."""
        base: Any = innermost(self.base_layer)
        if not is_usual(base) or len(self.names) != len(lycoris.LOHA):
            return True  # in Tucker form, or with magnitudes
        out, columns = self.weight.shape[0], self.weight[0].numel()
        rank = self.tensors()["hada_w1_b"].shape[0]
        places = x.numel() // self.weight.shape[1]
        if isinstance(base, nn.Conv2d):
            places //= math.prod(base.stride)
        by_factors = 3 * rank**2 * (out + columns) * places
        return by_factors > out * columns * (places + 8 * rank + PASSES)

    def delta(self, values: Sequence[Tensor] | None = None, kept: Tensor | None = None) -> Tensor:
        """Compute the weight delta at full strength, from these values of the trained tensors or from their own.

        ``kept``: rank dropout's factors, for a LoRA's ranks or for rows (as in LyCORIS); some of them are 0.
        """
        tensors = dict(zip(self.names, self.values if values is None else values, strict=True))
        with without_autocast(self.values[0].device):
            found = self._difference(tensors, kept)
            if MAGNITUDE not in tensors:
                return found
            # The lengths count as constants for the gradients, as DoRA's authors have it (their section 4.3).
            weight = effective_weight(self.base_layer)
            lengths = column_lengths((weight + found).detach())
            factor = tensors[MAGNITUDE].reshape(lengths.shape) / lengths.clamp_min(TINY)
            return found * factor + weight * (factor - 1)

    def norm(self) -> Tensor:
        """Compute the delta's Frobenius norm, before DoRA's magnitudes and without dropout."""
        return (difference(self.tensors(), self.weight.shape) * self.scale).norm()

    def for_file(self, rank: int, scale: float) -> LycorisLayer:
        """Return the layer as a file holds it, on the CPU; a LoHa's or LoKr's matrices take up its strength, alpha is
        its rank.
        """
        tensors = {name: value.detach().cpu() for name, value in self.tensors().items()}
        first = next((name for name in ("hada_w2_a", "lokr_w2", "lokr_w2_a") if name in tensors), None)
        if first is None:
            return LycorisLayer(tensors, scale * rank)
        # Readers differ: for whole matrices the WebUI takes a scale of 1, peft's LoKr always does, and LyCORIS 4 merges
        # with its
        # square. With 1 all agree.
        return LycorisLayer({**tensors, first: tensors[first] * scale}, float(rank))

    def _difference(self, tensors: Mapping[str, Tensor], kept: Tensor | None) -> Tensor:
        """Compute the scaled difference, with rank dropout."""
        if kept is not None and DOWN in tensors:
            tensors = {**tensors, DOWN: tensors[DOWN] * kept}
        found = difference(tensors, self.weight.shape) * self.scale
        return found if kept is None or DOWN in tensors else found * kept

    def _draw_kept(self) -> Tensor:
        """Draw rank dropout's factors: 0 with its probability, else what keeps the mean."""
        of = self.tensors().get(DOWN, self.weight)
        draws = torch.rand([of.shape[0], *(1 for _ in of.shape[1:])], device=of.device)
        return (draws >= self.rank_dropout).float() / (1 - self.rank_dropout)


class Residual(torch.autograd.Function):
    """(layer, kept, whole, x, the layer's values …) → delta(x), or with ``whole`` the layer's result, W + ΔW at once.

    It keeps only x and the values for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        layer, kept, whole, x, *values = given
        base: Any = innermost(layer.base_layer)
        weight = layer.delta(values, kept) * layer.strength
        bias = base.bias if whole else None
        if whole:
            weight += base.weight
        if isinstance(base, nn.Conv2d):
            geometry: Any = (base.stride, base.padding, base.dilation, base.groups)
            result = functional.conv2d(x, weight.to(x.dtype), bias, *geometry)
        else:
            result = functional.linear(x, weight.to(x.dtype), bias)
        # Autocast may have computed in another dtype than x's.
        ctx.save_for_backward(x.to(result.dtype), *values)
        ctx.layer, ctx.kept, ctx.whole, ctx.dtype = layer, kept, whole, x.dtype
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *values = ctx.saved_tensors
        layer, of_x = ctx.layer, ctx.needs_input_grad[3]
        base: Any = innermost(layer.base_layer)
        with without_autocast(x.device):
            with torch.enable_grad():
                leaves = [value.detach().requires_grad_(value.requires_grad) for value in values]
                delta = layer.delta(leaves, ctx.kept) * layer.strength
            weight = delta.detach().to(x.dtype)
            if ctx.whole and of_x:
                weight = weight + base.weight
            if isinstance(base, nn.Conv2d):
                geometry = (base.stride, base.padding, base.dilation, False, [0, 0], base.groups)
                grad_x, grad_delta, _ = torch.ops.aten.convolution_backward(
                    gradient, x, weight, None, *geometry, [of_x, True, False]
                )
            else:
                grad_x = gradient @ weight if of_x else None
                grad_delta = gradient.flatten(0, -2).T @ x.flatten(0, -2)
            trained = [leaf for leaf in leaves if leaf.requires_grad]
            found = iter(torch.autograd.grad(delta, trained, grad_delta.to(delta.dtype)) if trained else ())
        grad_x = grad_x.to(ctx.dtype) if of_x else None
        return None, None, None, grad_x, *(next(found) if leaf.requires_grad else None for leaf in leaves)


def difference(tensors: Mapping[str, Tensor], shape: torch.Size) -> Tensor:
    """Compute the delta of a weight of this shape, before its scale and DoRA's magnitudes."""
    kind = lycoris.kind_of(tensors)
    if kind == "loha":
        factors = [tensors[name] for name in lycoris.LOHA]
        one = torch.ones((), device=factors[0].device)
        if "hada_t1" in tensors:
            found = make_weight_cp(tensors["hada_t1"], *factors[:2], tensors["hada_t2"], *factors[2:], one)
        else:
            found = make_weight(*factors, one)
    elif kind == "lokr":
        found = make_kron(_side(tensors, "lokr_w1"), _side(tensors, "lokr_w2"))
    else:
        found = tensors["lora_up.weight"].flatten(1) @ tensors["lora_down.weight"].flatten(1)
    result: Tensor = found.reshape(shape)
    return result


def changed_weight(tensors: Mapping[str, Tensor], scale: float, weight: Tensor, strength: float = 1.0) -> Tensor:
    """Merge a file's layer into a float32 weight, at a strength: the sum of what ``DeltaLayer`` computes apart."""
    found = difference({name: value.float() for name, value in tensors.items()}, weight.shape) * scale
    if MAGNITUDE in tensors:
        lengths = column_lengths(weight + found)
        factor = tensors[MAGNITUDE].float().reshape(lengths.shape) / lengths.clamp_min(TINY)
        found = found * factor + weight * (factor - 1)
    return weight + found * strength


def column_lengths(weight: Tensor) -> Tensor:
    """Compute the norm of each input's column: [1, in(, 1, 1)] of a weight [out, in(, kh, kw)]."""
    return torch.linalg.vector_norm(weight, dim=[0, *range(2, weight.ndim)], keepdim=True)


@torch.no_grad()
def effective_weight(module: nn.Module) -> Tensor:
    """Return a layer's weight in float32, with all adapters around it merged."""
    base = module._modules.get("base_layer")
    if base is None:
        return _weight(module).detach().float()
    inner: Any = module
    weight = effective_weight(base)
    if isinstance(module, DeltaLayer):
        return weight + module.delta() * module.strength
    for name in inner.active_adapters:
        weight = weight + inner.get_delta_weight(name).float()
    return weight


def first_values(kind: str, base: nn.Module, rank: int, factor: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw a layer's first tensors as LyCORIS and LoRA do; the delta is 0. ``factor`` 0 splits LoKr's sides evenly."""
    shape = _weight(base).shape
    out, inputs, kernel = shape[0], shape[1], math.prod(shape[2:])

    def even(*size: int) -> Tensor:
        bound = 1 / math.sqrt(math.prod(size[1:]))
        return torch.empty(size).uniform_(-bound, bound, generator=generator)

    def normal(spread: float, *size: int) -> Tensor:
        return torch.empty(size).normal_(0, spread, generator=generator)

    if kind == "loha":
        return {
            "hada_w1_a": normal(0.1, out, rank),
            "hada_w1_b": normal(1.0, rank, inputs * kernel),
            "hada_w2_a": torch.zeros(out, rank),
            "hada_w2_b": normal(1.0, rank, inputs * kernel),
        }
    if kind == "lokr":
        (o1, o2), (i1, i2) = split(out, factor), split(inputs, factor)
        if lokr_whole(o2, i2, rank):
            return {"lokr_w1": even(o1, i1), "lokr_w2": torch.zeros(o2, i2, *shape[2:])}
        return {
            "lokr_w1": even(o1, i1),
            "lokr_w2_a": even(o2, rank),
            "lokr_w2_b": torch.zeros(rank, i2 * kernel),
        }
    return {
        "lora_down.weight": even(rank, *shape[1:]),
        "lora_up.weight": torch.zeros(out, rank, *(1 for _ in shape[2:])),
        MAGNITUDE: column_lengths(effective_weight(base)).cpu(),
    }


def _side(tensors: Mapping[str, Tensor], part: str) -> Tensor:
    """Return one of LoKr's two matrices, [o, i·kernel] for convolutions too."""
    if part in tensors:
        return tensors[part].flatten(1)
    a, b = tensors[f"{part}_a"], tensors[f"{part}_b"]
    if part == "lokr_w2" and "lokr_t2" in tensors:
        tucker: Tensor = make_tucker(tensors["lokr_t2"], a, b)
        return tucker.flatten(1)
    return a @ b.flatten(1)


def _weight(module: nn.Module) -> Tensor:
    weight: Any = innermost(module).weight
    assert isinstance(weight, Tensor)
    return weight
