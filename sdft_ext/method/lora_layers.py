"""Which layers a recipe gives LoRA-like adapters, of which rank and strength; known from names and shapes alone.

``attention`` are the queries, keys, values and outputs; ``linear`` adds the rest of the transformer blocks (kohya's
LoRA); ``all`` adds the residual blocks and the down- and upsamplers (kohya's LoCon). As in kohya's trainer, the first
and last convolution and the time embedding get none. 1×1 convolutions count as linear layers.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

from ..formats.family import Family
from ..recipe import LoraRecipe, Recipe
from .adapters import AdapterConfig, layer_shapes
from .base import EMBEDDINGS, MethodError, StepKind, TrainedNumbers
from .sizes import numbers

ATTENTION = re.compile(r"\.attn[12]\.(to_q|to_k|to_v|to_out\.0)$")
LINEAR = re.compile(r"\.attentions\.")
RESIDUAL = re.compile(r"\.(resnets|downsamplers|upsamplers)\.")
TEXT_ATTENTION = re.compile(r"\.self_attn\.(q|k|v|out)_proj$")
TEXT = re.compile(r"\.encoder\.layers\.")


def chosen(
    layers: Mapping[str, Sequence[int]], recipe: Recipe, kind: str = "lora"
) -> tuple[dict[str, AdapterConfig], int]:
    """Choose the layers that the recipe trains, out of 'part.path' → weight shape, and configure their adapters.

    A rank above what a layer's weight can have is lowered to that; also returns how many were.
    """
    found, lowered = {}, 0
    for name, weight in layers.items():
        config = configured(name, weight, recipe.method.lora, kind) if trains(name, recipe) else None
        if config is not None:
            most = most_rank(weight)
            lowered += config.rank > most
            found[name] = _resized(config, min(config.rank, most))
    return found, lowered


def trains(name: str, recipe: Recipe) -> bool:
    """Whether the recipe trains the layer 'part.path', ranks of 0 aside."""
    layers, method = recipe.method.lora.layers, recipe.method
    if not name.startswith("unet."):
        wanted = TEXT_ATTENTION if layers == "attention" else TEXT
        return method.text_encoder and wanted.search(name) is not None
    if not method.unet:
        return False
    if layers == "attention":
        return ATTENTION.search(name) is not None
    return LINEAR.search(name) is not None or (layers == "all" and RESIDUAL.search(name) is not None)


def configured(name: str, weight: Sequence[int], lora: LoraRecipe, kind: str = "lora") -> AdapterConfig | None:
    """Configure the adapter of the layer 'part.path' whose weight has this shape; None where its rank is 0.

    The longest text of ``block_ranks`` that the name contains decides the rank over the rest.
    """
    rank, strength = lora.rank, lora.alpha / lora.rank if lora.alpha else 1.0
    if any(side > 1 for side in weight[2:]):
        rank = lora.conv_rank or rank
        strength = lora.conv_alpha / rank if lora.conv_alpha else strength
    elif not name.startswith("unet."):
        rank = lora.text_rank or rank
    matches = [text for text in lora.block_ranks if text in name]
    rank = lora.block_ranks[max(matches, key=len)] if matches else rank
    if not rank:
        return None
    return AdapterConfig(rank, strength * rank, lora.dropout, lora.rslora, lora.rank_dropout, kind, lora.factor)


def most_rank(weight: Sequence[int]) -> int:
    """Return the largest rank that changes to a weight [out, in, …] can have."""
    return min(weight[0], math.prod(weight[1:]))


def check_block_names(lora: LoraRecipe, layers: Sequence[str]) -> None:
    """Raise MethodError where a text of ``block_ranks`` is part of no layer's name."""
    for text in lora.block_ranks:
        if not any(text in name for name in layers):
            raise MethodError(
                f"method.lora.block_ranks names {text!r}, but no layer's name contains it. Names are like {layers[-1]} "
                f"and {layers[len(layers) // 2]}: use a part of one, such as mid_block or up_blocks.1."
            )


def trained_numbers(recipe: Recipe, family: Family, kind: str) -> TrainedNumbers:
    """Count the numbers of the adapters that the recipe puts beside a model's layers."""
    layers = layer_shapes(family)
    counts = {
        name: numbers(kind, layers[name], config.rank, config.factor)
        for name, config in chosen(layers, recipe, kind)[0].items()
    }
    unet = sum(count for name, count in counts.items() if name.startswith("unet."))
    return TrainedNumbers(unet, sum(counts.values()) - unet)


def step_kind(recipe: Recipe, family: Family, kind: str) -> StepKind:
    """Say what a step with adapters is like: LoRAs by their layers and mean rank, others by the share that they
    change, and DoRA by its mean rank too.
    """
    if not recipe.method.unet:
        return StepKind(EMBEDDINGS, kind)
    layers = {name: shape for name, shape in layer_shapes(family).items() if name.startswith("unet.")}
    configs = chosen(layers, recipe, kind)[0]
    sides = {name: layers[name][0] + math.prod(layers[name][1:]) for name in configs}
    ranks = sum(config.rank * sides[name] for name, config in configs.items()) / max(sum(sides.values()), 1)
    if kind != "lora":
        share = sum(math.prod(layers[name]) for name in configs) / max(sum(map(math.prod, layers.values())), 1)
        return StepKind(kind, kind, share, ranks if kind == "dora" else 0.0)
    which = recipe.method.lora.layers
    return StepKind(kind if which == "all" else f"{kind} {which}", kind, width=ranks)


def _resized(config: AdapterConfig, rank: int) -> AdapterConfig:
    """Return another rank at the same alpha ÷ rank."""
    return dataclasses.replace(config, rank=rank, alpha=config.alpha / config.rank * rank)
