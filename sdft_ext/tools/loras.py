"""Resize LoRA files, and merge several into one. No base model is needed: layers are matched by their names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..formats import kohya
from ..formats.adapter_config import IN_METADATA
from ..formats.kohya import BUNDLE, LoraFile, LoraLayer
from ..formats.lora_names import KOHYA, is_text, of_sdxl, same_layer, underscored
from ..formats.lycoris import LABELS, MAGNITUDE, LycorisLayer, size
from ..formats.tensor_file import MAX_SHOWN, PRECISIONS, TensorFile
from ..method.lowrank import approximated, resized
from ..method.weight_deltas import difference
from ..recipe import Precision
from ..storage.text import printable, quantity
from .files import Progress, ToolError, names_and_weights, new_file

THREE = re.compile(
    r"(?:conv1|conv2|in_layers_2|out_layers_3|samplers_0_conv|_0_op|output_blocks_\d+_[12]_conv|conv_in|conv_out)$"
)
"""Ends of the names, in diffusers and in LDM, of layers that are 3×3 convolutions."""
Part = tuple[kohya.Layer, float]
"""A layer of a file, and its weight."""


@dataclass(frozen=True)
class Limit:
    """Limits of each layer: its ``rank``, the lowest rank with at most this ``error``, or the lower one; 0: none."""

    rank: int
    error: float


@dataclass(frozen=True)
class Made:
    """A LoRA that a tool wrote. ``error``: norm of what is missing ÷ norm of the change, as the file has it."""

    path: Path
    layers: int
    largest_rank: int
    error: float
    new_words: tuple[str, ...] = ()
    """New words that it contains."""
    notes: tuple[str, ...] = ()
    """Sentences about new words that were left out."""

    @property
    def text(self) -> str:
        """Describe the result in sentences."""
        found = (
            f"{self.path}: {quantity(self.layers, 'layer')}, rank up to {self.largest_rank}; {self.error:.2%} "
            f"of the change is "
            "missing (by norm)."
        )
        if self.new_words:
            noun = "words" if len(self.new_words) > 1 else "word"
            found += f" It contains the new {noun} {', '.join(self.new_words)}."
        return " ".join([found, *self.notes])


@torch.no_grad()
def resize(
    source: str | Path,
    target: str | Path,
    rank: int = 0,
    error: float = 0.0,
    precision: Precision = "fp16",
    progress: Progress | None = None,
) -> Made:
    """Write a LoRA at another rank, or at the lowest rank of each layer with at most this error.

    A LoHa or LoKr becomes a LoRA. Raises ToolError for a DoRA, whose magnitudes belong to the base model's weights.
    """
    target = new_file(target)
    if not rank and not error:
        raise ToolError("Set a rank, an error, or both.")
    file = _read(source)
    parts = {name: [(layer, 1.0)] for name, layer in file.layers.items()}
    _refuse_dora(source, file)
    return _write(target, parts, file.metadata, Limit(rank, error), precision, new_word_tensors(source), progress)


@torch.no_grad()
def merge_loras(
    files: Sequence[tuple[Path, float]],
    target: str | Path,
    rank: int = 0,
    error: float = 0.0,
    precision: Precision = "fp16",
    progress: Progress | None = None,
) -> Made:
    """Write one LoRA whose effect is the weighted sum of the files': exactly, with the sum of their ranks, or limited.

    It gets their new words too. Raises ToolError where files name their layers in different ways or have layers of
    different sizes, and for a DoRA.
    """
    target = new_file(target)
    if len(files) < 2:
        raise ToolError("There is nothing to merge: name at least two LoRA files.")
    read = [(path, _read(path), weight) for path, weight in files]
    unet = [{same_layer(name) for name in file.layers if not is_text(name)} for _, file, _ in read]
    if any(names and unet[0] and not names & unet[0] for names in unet[1:]):
        raise ToolError(
            f"{files[0][0]} and another file have different layers: they were made for different kinds of models."
        )
    names = _one_name_each([file for _, file, _ in read])
    parts: dict[str, list[Part]] = {}
    for path, file, weight in read:
        _refuse_dora(path, file)
        for name, layer in file.layers.items():
            parts.setdefault(names[same_layer(name)], []).append((layer, weight))
    for name, layers in parts.items():
        if len({size(layer.tensors) for layer, _ in layers}) > 1:
            raise ToolError(
                f"The files have layers of different sizes, such as {name}: they were made for different kinds of "
                "models."
            )
    metadata = {**read[0][1].metadata, "sdft_merged": names_and_weights(files)}
    bundle, notes = _merge_new_words([path for path, _, _ in read])
    made = _write(target, parts, metadata, Limit(rank, error), precision, bundle, progress)
    return replace(made, notes=notes)


def _read(path: str | Path) -> LoraFile:
    """Read a LoRA file. Raises ToolError where it has a layer under two names, of which programs use one or both."""
    file = kohya.read(path)
    names: dict[str, str] = {}
    for name in file.layers:
        other = names.setdefault(same_layer(name), name)
        if other != name:
            raise ToolError(
                f"{path} has one layer under two names, {printable(other[:MAX_SHOWN])} and "
                f"{printable(name[:MAX_SHOWN])}: programs use one or both of them. Save or download it again."
            )
    return file


def _one_name_each(files: Sequence[LoraFile]) -> dict[str, str]:
    """Return the name for each layer's result: the first file's, or kohya's where files name a layer in two ways."""
    names: dict[str, set[str]] = {}
    for file in files:
        for name in file.layers:
            names.setdefault(same_layer(name), set()).add(name)
    first = {same_layer(name): name for file in reversed(files) for name in file.layers}
    if all(len(ways) == 1 for ways in names.values()):
        return first
    kohya_names = {layer: sorted(name for name in ways if name.startswith(KOHYA)) for layer, ways in names.items()}
    text = "lora_te1_" if any(of_sdxl(file.layers) for file in files) else "lora_te_"
    return {
        layer: name if name.startswith(KOHYA) else next(iter(kohya_names[layer]), underscored(name, text))
        for layer, name in first.items()
    }


def _merge_new_words(paths: Sequence[Path]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of the files' new words, of each word the first, and sentences about those left out."""
    bundle: dict[str, Tensor] = {}
    owners: dict[str, Path] = {}
    notes = []
    for path in paths:
        tensors = new_word_tensors(path)
        for word in kohya.new_words(tensors):
            if word in owners:
                notes.append(f"The word {word} was taken from {owners[word].name}; the one in {path.name} is left out.")
                continue
            owners[word] = path
            bundle |= {key: tensor for key, tensor in tensors.items() if kohya.new_words([key]) == [word]}
    return bundle, tuple(notes)


def new_word_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a LoRA file's new words, by their keys."""
    file = TensorFile(path)
    return {key: file[key] for key in file if key.startswith(BUNDLE)}


def _refuse_dora(path: str | Path, file: LoraFile) -> None:
    for name, layer in file.layers.items():
        if MAGNITUDE in layer.tensors:
            raise ToolError(
                f"{path} is a {LABELS['dora']} ({name}), whose effect depends on the base model's weights: merge "
                "it into a checkpoint, and extract a LoRA from that."
            )


def _write(
    target: Path,
    parts: Mapping[str, Sequence[Part]],
    metadata: Mapping[str, str],
    limit: Limit,
    precision: Precision,
    bundle: dict[str, Tensor],
    progress: Progress | None,
) -> Made:
    made: dict[str, kohya.Layer] = {}
    ranks: set[int] = set()
    missing = total = 0.0
    for name, layers in parts.items():
        new, wanted = _merge_layers(name, layers, limit.rank, limit.error)
        up, down = (tensor.to(PRECISIONS[precision]).float().flatten(1) for tensor in (new.up, new.down))
        found = up @ down * new.scale
        total += float(wanted.double().square().sum())
        missing += float((wanted - found).double().square().sum())
        made[name] = new
        ranks.add(new.rank)
        if progress is not None:
            progress(len(made), len(parts))
    rank = str(next(iter(ranks))) if len(ranks) == 1 else "Dynamic"
    metadata = {
        **_renamed(metadata, target.stem),
        "ss_output_name": target.stem,
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": rank,
        "ss_network_args": "{}",
    }
    kohya.write_named(target, made, metadata, precision, bundle)
    error = (missing / total) ** 0.5 if total else 0.0
    return Made(target, len(made), max(ranks), error, tuple(kohya.new_words(bundle)))


def _renamed(metadata: Mapping[str, str], stem: str) -> dict[str, str]:
    """Return a file's metadata for a file of another name, whose strength is in its tensors alone."""
    found = {name: value for name, value in metadata.items() if name != IN_METADATA}
    if "modelspec.title" in found:
        found["modelspec.title"] = stem
    if "modelspec.usage_hint" in found:
        hint = re.sub(r"<(lora|lyco):[^:>]*", lambda match: f"<{match[1]}:{stem}", found["modelspec.usage_hint"])
        found["modelspec.usage_hint"] = hint
    return found


def _merge_layers(name: str, parts: Sequence[Part], rank: int, error: float) -> tuple[LoraLayer, Tensor]:
    """Return a LoRA layer with the weighted sum of the parts' effects, limited to a rank or an error, and the exact
    sum, [out, in·kernel].
    """
    loras = [(layer, weight) for layer, weight in parts if isinstance(layer, LoraLayer)]
    if len(loras) == len(parts):
        layer = _stacked(loras)
        exact = layer.up.float().flatten(1) @ layer.down.float().flatten(1) * layer.scale
        return (resized(layer, rank, error) if (rank and rank < layer.rank) or error else layer), exact
    shape = max((_shape(name, layer) for layer, _ in parts), key=len)
    change = torch.zeros(shape)
    for part, weight in parts:
        tensors = {name: tensor.float() for name, tensor in part.tensors.items()}
        change += difference(tensors, shape) * (part.scale * weight)
    return approximated(change, rank, error), change.flatten(1)


def _stacked(parts: Sequence[tuple[LoraLayer, float]]) -> LoraLayer:
    """Stack LoRA layers into one with the sum of their ranks."""
    if len(parts) == 1 and parts[0][1] == 1.0:
        return parts[0][0]
    kernel = max((tuple(layer.down.shape[2:]) for layer, _ in parts), key=len)
    pairs = [
        _balanced(layer.up.float().flatten(1) * (layer.scale * weight), layer.down.float()) for layer, weight in parts
    ]
    up = torch.cat([up for up, _ in pairs], 1)
    down = torch.cat([down.reshape(len(down), -1, *kernel) for _, down in pairs])
    return LoraLayer(down, up.reshape(*up.shape, *(1 for _ in kernel)), float(len(down)))


def _balanced(up: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """Move strength from one to the other, as a power of two, until their largest values are alike: in fp16, values
    below 6e-5 lose their digits.
    """
    high, low = float(down.abs().max()), float(up.abs().max())
    if not high or not low:
        return up, down
    factor = 2.0 ** round(math.log2(high / low) / 2)
    return up * factor, down / factor


def _shape(name: str, layer: kohya.Layer) -> torch.Size:
    """Return the shape of the weight that a layer changes, as far as its file tells."""
    with_kernel = ("lora_down.weight", "lokr_w2", "lokr_t2", "hada_t1")
    kernel = next((tuple(t.shape[2:]) for part, t in layer.tensors.items() if part in with_kernel), ())
    out, columns = size(layer.tensors)
    if not kernel and isinstance(layer, LycorisLayer) and THREE.search(name) and columns % 9 == 0:
        kernel = (3, 3)  # plain LoHa and LoKr files flatten a convolution's kernel
    return torch.Size((out, columns // math.prod(kernel), *kernel))
