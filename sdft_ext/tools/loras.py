"""LoRA files resized, and several made one. No base model is needed: layers are known by the names in their files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..formats import kohya
from ..formats.kohya import BUNDLE, LoraFile, LoraLayer
from ..formats.lycoris import LABELS, MAGNITUDE, LycorisLayer, size
from ..formats.tensor_file import TensorFile
from ..method.lowrank import approximated, resized
from ..method.weight_deltas import difference
from ..recipe import Precision
from .files import Progress, ToolError, names_and_weights, new_file

THREE = re.compile(
    r"(?:conv1|conv2|in_layers_2|out_layers_3|samplers_0_conv|_0_op|output_blocks_\d+_[12]_conv|conv_in|conv_out)$"
)
"""Ends of the names of layers that are 3×3 convolutions, in diffusers' and LDM's words."""
Part = tuple[kohya.Layer, float]
"""A layer of a file, and its weight."""


@dataclass(frozen=True)
class Cut:
    """How small each layer gets: a ``rank``, the least rank with at most this ``error``, or whichever is smaller; 0:
    neither.
    """

    rank: int
    error: float


@dataclass(frozen=True)
class Made:
    """A LoRA that a tool made. ``error``: length of all that is missing ÷ length of the change, before rounding."""

    path: Path
    layers: int
    largest_rank: int
    error: float
    words: tuple[str, ...] = ()
    """New words that it holds."""
    left: tuple[str, ...] = ()
    """Sentences about words that it doesn't."""

    @property
    def text(self) -> str:
        found = (
            f"{self.path}: {self.layers} layers, rank up to {self.largest_rank}; {self.error:.2%} of the change is "
            f"missing "
            "(by length)."
        )
        if self.words:
            found += f" It holds the new {'words' if len(self.words) > 1 else 'word'} {', '.join(self.words)}."
        return " ".join([found, *self.left])


@torch.no_grad()
def resize(
    source: str | Path,
    target: str | Path,
    rank: int = 0,
    error: float = 0.0,
    precision: Precision = "fp16",
    progress: Progress | None = None,
) -> Made:
    """Write a LoRA at another rank, or the least ranks with at most this error in each layer; a LoHa or LoKr becomes a
    LoRA.

    Raises ToolError for a DoRA, whose magnitudes belong to the base's weights.
    """
    target = new_file(target)
    if not rank and not error:
        raise ToolError("Say how small: a rank, an error, or both.")
    file = kohya.read(source)
    parts = {name: [(layer, 1.0)] for name, layer in file.layers.items()}
    _refuse_dora(source, file)
    return _written(target, parts, file.metadata, Cut(rank, error), precision, words(source), progress)


@torch.no_grad()
def merge_loras(
    files: Sequence[tuple[Path, float]],
    target: str | Path,
    rank: int = 0,
    error: float = 0.0,
    precision: Precision = "fp16",
    progress: Progress | None = None,
) -> Made:
    """Write one LoRA whose effect is the sum of the files' at their weights; exactly, with the sum of their ranks, or
    cut.

    New words go along.
    Raises ToolError where files name their layers in different ways or have layers of different sizes.
    """
    target = new_file(target)
    if len(files) < 2:
        raise ToolError("There is nothing to merge: name at least two LoRA files.")
    read = [(path, kohya.read(path), weight) for path, weight in files]
    unet = [{name for name in file.layers if not name.startswith("lora_te")} for _, file, _ in read]
    if any(names and unet[0] and not names & unet[0] for names in unet[1:]):
        raise ToolError(
            f"{files[0][0]} and another file name different layers: they were made for different kinds of models."
        )
    parts: dict[str, list[Part]] = {}
    for path, file, weight in read:
        _refuse_dora(path, file)
        for name, layer in file.layers.items():
            parts.setdefault(name, []).append((layer, weight))
    for name, some in parts.items():
        if len({size(layer.tensors) for layer, _ in some}) > 1:
            raise ToolError(
                f"The files have layers of different sizes, such as {name}: they were made for different kinds of "
                f"models."
            )
    told = {**read[0][1].metadata, "sdft_merged": names_and_weights(files)}
    bundle, left = _together([path for path, _, _ in read])
    made = _written(target, parts, told, Cut(rank, error), precision, bundle, progress)
    return replace(made, left=left)


def _together(paths: Sequence[Path]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The files' new words, and sentences about those that can't be among them: of two of one name the first stays."""
    bundle: dict[str, Tensor] = {}
    owners: dict[str, Path] = {}
    left = []
    for path in paths:
        theirs = words(path)
        for word in kohya.new_words(theirs):
            if word in owners:
                left.append(f"The word {word} is {owners[word].name}'s: that of {path.name} was left out.")
                continue
            owners[word] = path
            bundle |= {key: tensor for key, tensor in theirs.items() if kohya.new_words([key]) == [word]}
    return bundle, tuple(left)


def words(path: str | Path) -> dict[str, Tensor]:
    """The tensors of new words that a LoRA file holds beside its layers."""
    file = TensorFile(path)
    return {key: file[key] for key in file if key.startswith(BUNDLE)}


def _refuse_dora(path: str | Path, file: LoraFile) -> None:
    for name, layer in file.layers.items():
        if MAGNITUDE in layer.tensors:
            raise ToolError(
                f"{path} is a {LABELS['dora']} ({name}), whose effect depends on the base's weights: merge it into a "
                "checkpoint, and extract a LoRA from that."
            )


def _written(
    target: Path,
    parts: Mapping[str, Sequence[Part]],
    metadata: Mapping[str, str],
    cut: Cut,
    precision: Precision,
    bundle: dict[str, Tensor],
    progress: Progress | None,
) -> Made:
    made: dict[str, kohya.Layer] = {}
    ranks: set[int] = set()
    missing = whole = 0.0
    for name, some in parts.items():
        new, wanted = _layer(name, some, cut.rank, cut.error)
        found = new.up.float().flatten(1) @ new.down.float().flatten(1) * new.scale
        whole += float(wanted.double().square().sum())
        missing += float((wanted - found).double().square().sum())
        made[name] = new
        ranks.add(new.rank)
        if progress is not None:
            progress(len(made), len(parts))
    word = str(next(iter(ranks))) if len(ranks) == 1 else "Dynamic"
    told = {
        **metadata,
        "ss_output_name": target.stem,
        "ss_network_module": "networks.lora",
        "ss_network_dim": word,
        "ss_network_alpha": word,
        "ss_network_args": "{}",
    }
    kohya.write_named(target, made, told, precision, bundle)
    lost = (missing / whole) ** 0.5 if whole else 0.0
    return Made(target, len(made), max(ranks), lost, tuple(kohya.new_words(bundle)))


def _layer(name: str, parts: Sequence[Part], rank: int, error: float) -> tuple[LoraLayer, Tensor]:
    """A LoRA's layer with the effect of all parts at their weights, cut as asked; and that effect whole [out,
    in·kernel].
    """
    loras = [(layer, weight) for layer, weight in parts if isinstance(layer, LoraLayer)]
    if len(loras) == len(parts):
        layer = _stacked(loras)
        whole = layer.up.float().flatten(1) @ layer.down.float().flatten(1) * layer.scale
        return (resized(layer, rank, error) if (rank and rank < layer.rank) or error else layer), whole
    shape = max((_shape(name, layer) for layer, _ in parts), key=len)
    change = torch.zeros(shape)
    for one, weight in parts:
        tensors = {part: tensor.float() for part, tensor in one.tensors.items()}
        change += difference(tensors, shape) * (one.scale * weight)
    return approximated(change, rank, error), change.flatten(1)


def _stacked(parts: Sequence[tuple[LoraLayer, float]]) -> LoraLayer:
    """LoRA layers as one, with the sum of their ranks."""
    if len(parts) == 1 and parts[0][1] == 1.0:
        return parts[0][0]
    kernel = max((tuple(layer.down.shape[2:]) for layer, _ in parts), key=len)
    down = torch.cat([layer.down.float().reshape(layer.rank, -1, *kernel) for layer, _ in parts])
    up = torch.cat([layer.up.float().flatten(1) * (layer.scale * weight) for layer, weight in parts], 1)
    return LoraLayer(down, up.reshape(*up.shape, *(1 for _ in kernel)), float(len(down)))


def _shape(name: str, layer: kohya.Layer) -> torch.Size:
    """Of the weight that a layer changes, as far as its file says."""
    whole = ("lora_down.weight", "lokr_w2", "lokr_t2", "hada_t1")
    kernel = next((tuple(t.shape[2:]) for part, t in layer.tensors.items() if part in whole), ())
    out, columns = size(layer.tensors)
    if not kernel and isinstance(layer, LycorisLayer) and THREE.search(name) and columns % 9 == 0:
        kernel = (3, 3)  # plain LoHa and LoKr files have a convolution's columns in one row
    return torch.Size((out, columns // math.prod(kernel), *kernel))
