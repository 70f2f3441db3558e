"""Trainable layers that are put into a borrowed model and taken out again: peft's for LoRA, our own for LoHa, LoKr and
DoRA.

Each layer takes the place of the module that it wraps, and computes with as few operations as it can (``products``).
The wrapped modules are the borrowed ones, untouched; removing the layers puts the very same objects back.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..formats.family import Family
from ..formats.kohya import Layer, LoraLayer
from ..formats.lycoris import LORA, MAGNITUDE
from ..model.base import Flags, Model, innermost
from ..model.skeleton import of_sizes, sizes
from ..randomness import forked, generator
from .products import ADAPTER

DOWN, UP = LORA


@dataclass(frozen=True)
class AdapterConfig:
    """Rank, strength and dropout of one adapter. ``alpha`` is the recipe's; ``scale``, made of it, multiplies
    up·down.
    """

    rank: int
    alpha: float
    dropout: float = 0.0
    rslora: bool = False
    rank_dropout: float = 0.0
    kind: str = "lora"
    factor: int = 0
    """LoKr's: the smaller side of its split; 0 splits evenly."""

    @property
    def scale(self) -> float:
        """alpha ÷ rank (Hu 2021), or alpha ÷ √rank (rsLoRA, Kalajdzievski 2023)."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)

    @property
    def file_alpha(self) -> float:
        """The alpha for a reader that knows only alpha ÷ rank: rsLoRA's is alpha·√rank."""
        return self.alpha * math.sqrt(self.rank) if self.rslora else self.alpha


def parts(model: Model) -> dict[str, nn.Module]:
    """Return the trainable parts by diffusers' names: unet, text_encoder, text_encoder_2."""
    texts = {f"text_encoder{f'_{i + 1}' if i else ''}": module for i, module in enumerate(model.text_encoders)}
    return {"unet": model.unet, **texts}


def wrappable(model: Model) -> Iterator[tuple[str, nn.Module]]:
    """Yield every linear layer and convolution of UNet and text encoders as 'part.path', with or without adapters
    around it.
    """
    for part, root in parts(model).items():
        yield from _wrappable(part, root)


def weight_shape(module: nn.Module) -> tuple[int, ...]:
    """Return [out, in] of a linear layer or [out, in, kh, kw] of a convolution, inside any adapters."""
    weight = innermost(module).weight
    assert isinstance(weight, Tensor)
    return tuple(weight.shape)


def layer_shapes(family: Family) -> dict[str, tuple[int, ...]]:
    """Return every layer of a family that an adapter can stand beside, 'part.path' → its weight's shape."""
    return _layer_shapes(sizes(family))


@functools.lru_cache(maxsize=8)
def _layer_shapes(key: str) -> dict[str, tuple[int, ...]]:
    return {name: weight_shape(module) for name, module in wrappable(of_sizes(key))}


def _wrappable(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    base = innermost(module)
    if isinstance(base, nn.Linear | nn.Conv2d):
        yield name, base
        return
    for leaf, child in base.named_children():
        yield from _wrappable(f"{name}.{leaf}", child)


class Adapters:
    """Trained layers in a model, by 'part.path'. If making them fails, the model is unchanged.

    Down-weights begin uniformly distributed in ±1/√fan-in (Kaiming 2015 with a = √5, as is usual), keyed by ``seed``
    and the layer's name; up-weights begin at 0. Both are float32, also on a half-precision base. Layers in ``start``
    begin with a file's values instead.
    """

    def __init__(
        self, model: Model, shapes: Mapping[str, AdapterConfig], seed: int = 0, start: Mapping[str, Layer] | None = None
    ) -> None:
        self.shapes = dict(shapes)
        self.layers: dict[str, Any] = {}
        self._homes: list[tuple[nn.Module, str, nn.Module]] = []
        self._flags = Flags(model.modules)
        try:
            for module in model.modules:
                module.requires_grad_(False)
            with forked(seed, "lora"):  # torch's layers draw their first values, which aren't kept, from global state
                for name, shape in shapes.items():
                    self._wrap(parts(model), name, shape, seed, (start or {}).get(name))
            self.fill(start or {})
        except BaseException:
            self.remove()
            raise

    def _wrap(
        self, roots: Mapping[str, nn.Module], name: str, shape: AdapterConfig, seed: int, start: Layer | None
    ) -> None:
        part, _, path = name.partition(".")
        parent_path, _, leaf = path.rpartition(".")
        parent = roots[part].get_submodule(parent_path)
        base = parent._modules[leaf]
        assert base is not None
        draws = generator(seed, f"lora {name}")
        layer = _lora(base, shape, draws) if shape.kind == "lora" else _delta_layer(base, shape, draws, start)
        layer.train(base.training)
        self._homes.append((parent, leaf, base))
        self.layers[name] = layer
        parent._modules[leaf] = layer

    def remove(self) -> None:
        """Put the former modules and flags back. Adapters around these must have been removed before."""
        while self._homes:
            parent, leaf, base = self._homes.pop()
            parent._modules[leaf] = base
        self._flags.restore()

    @contextmanager
    def off(self) -> Iterator[None]:
        """Inside, each wrapped module computes without its adapter."""
        layers = [parent._modules[leaf] for parent, leaf, _ in self._homes]
        for parent, leaf, base in self._homes:
            parent._modules[leaf] = base
        try:
            yield
        finally:
            for (parent, leaf, _), layer in zip(self._homes, layers, strict=True):
                parent._modules[leaf] = layer

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights that the layers change."""
        return {name: weight_shape(layer) for name, layer in self.layers.items()}

    def tensors(self) -> dict[str, dict[str, nn.Parameter]]:
        """Return the trained tensors of each layer, by their names in a file."""
        return {name: self._tensors(name) for name in self.layers}

    def weights(self) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
        """Return (down, up) of each layer that is a LoRA or DoRA."""
        found = self.tensors().items()
        return {name: (own[DOWN], own[UP]) for name, own in found if DOWN in own}

    @torch.no_grad()
    def fill(self, layers: Mapping[str, Layer], weight: float = 1.0) -> None:
        """Copy a file's values into the layers; ``weight`` multiplies their effect."""
        for name in self.layers.keys() & layers.keys():
            for part, own in self._tensors(name).items():
                value = layers[name].tensors.get(part)
                if value is not None:
                    # Files may hold a 1×1 convolution's weights as matrices.
                    own.copy_(value.reshape(own.shape))
            if self.shapes[name].kind == "lora":
                self.layers[name].scaling[ADAPTER] = self.shapes[name].scale * weight
            else:
                self.layers[name].strength = weight

    def for_file(self) -> dict[str, Layer]:
        """Return the layers as a file holds them, on the CPU, without copying what is there already."""
        return {name: self._for_file(name, shape) for name, shape in self.shapes.items()}

    @torch.no_grad()
    def cap_norms(self, most: float, texts: bool = True) -> None:
        """Shrink weight changes whose norm is above ``most`` (kohya's scale_weight_norms), all their factors alike.

        Others aren't written: ``most / most`` and its root are slightly below 1 on some processors. ``texts``: also
        those in the text encoder.
        """
        names = [name for name in self.layers if texts or name.startswith("unet.")]
        if not names:
            return
        lengths = torch.stack([self._norm(name) for name in names]).tolist()  # waits for the device once
        for name, length in zip(names, lengths, strict=True):
            if length > most:
                factors = [value for part, value in self._tensors(name).items() if part != MAGNITUDE]
                ratio = (most / length) ** (1 / len(factors))
                for factor in factors:
                    factor.mul_(ratio)

    def _tensors(self, name: str) -> dict[str, nn.Parameter]:
        layer = self.layers[name]
        if self.shapes[name].kind != "lora":
            found: dict[str, nn.Parameter] = layer.tensors()
            return found
        return {DOWN: layer.lora_A[ADAPTER].weight, UP: layer.lora_B[ADAPTER].weight}

    def _norm(self, name: str) -> Tensor:
        if self.shapes[name].kind != "lora":
            length: Tensor = self.layers[name].norm()
            return length
        # |up·down|² is the sum of (upᵀ·up) ∘ (down·downᵀ): products of rank by rank, not of the weight's size.
        down, up = (tensor.flatten(1) for tensor in self._tensors(name).values())
        return ((up.T @ up) * (down @ down.T)).sum().clamp_min(0).sqrt() * self.shapes[name].scale

    def _for_file(self, name: str, shape: AdapterConfig) -> Layer:
        if shape.kind != "lora":
            made: Layer = self.layers[name].for_file(shape.rank, shape.scale)
            return made
        down, up = self._tensors(name).values()
        return LoraLayer(down.detach().cpu(), up.detach().cpu(), shape.file_alpha)


def _lora(base: nn.Module, shape: AdapterConfig, draws: torch.Generator) -> Any:
    """Make peft's layer around ``base``, with our product."""
    from .lora_products import LoraConv2d, LoraLinear

    kind = LoraConv2d if isinstance(innermost(base), nn.Conv2d) else LoraLinear
    layer: Any = kind(
        base,
        ADAPTER,
        r=shape.rank,
        lora_alpha=shape.alpha,
        lora_dropout=shape.dropout,
        use_rslora=shape.rslora,
        init_lora_weights=False,
    )
    layer.lora_A.float()
    layer.lora_B.float()
    down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    bound = 1 / math.sqrt(down[0].numel())
    first = torch.empty(down.shape).uniform_(-bound, bound, generator=draws)
    with torch.no_grad():
        down.copy_(first)
        up.zero_()
    if shape.rank_dropout:
        layer.lora_A[ADAPTER].register_forward_hook(_RankDropout(shape.rank_dropout))
    return layer


def _delta_layer(base: nn.Module, shape: AdapterConfig, draws: torch.Generator, start: Layer | None) -> nn.Module:
    """Make our layer around ``base``. A file's LoHa or LoKr may have any form that fits; a DoRA may begin as a LoRA."""
    from .weight_deltas import DeltaLayer, column_lengths, difference, effective_weight, first_values

    if start is None:
        tensors = first_values(shape.kind, base, shape.rank, shape.factor, draws)
    else:
        tensors = {part: value.float() for part, value in start.tensors.items()}
        if shape.kind == "dora" and MAGNITUDE not in tensors:
            weight = effective_weight(base)
            found = difference(tensors, weight.shape).to(weight.device) * shape.scale
            tensors[MAGNITUDE] = column_lengths(weight + found)
    return DeltaLayer(base, tensors, shape.scale, shape.dropout, shape.rank_dropout)


class _RankDropout:
    """In training, drops ranks at random, different ones for each picture, and keeps the mean (kohya's
    rank_dropout).
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, module: nn.Module, _: Any, output: Tensor) -> Tensor:
        if not module.training:
            return output
        # Ranks are the channels of a convolution's output, and the last axis of a linear layer's.
        spatial = isinstance(module, nn.Conv2d)
        size = [output.shape[0], *(1 for _ in output.shape[1:])]
        size[1 if spatial else -1] = output.shape[1 if spatial else -1]
        kept = torch.rand(size, device=output.device) >= self.share
        return output * kept.to(output.dtype) / (1 - self.share)
