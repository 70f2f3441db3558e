"""Merge LoRA, LoHa, LoKr and DoRA files into a checkpoint, with one of its tensors in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..formats import checkpoint
from ..formats.kohya import new_words
from ..formats.tensor_file import PRECISIONS, Entry, TensorFile, aligned, finite
from ..method.lora import read_for
from ..method.weight_deltas import changed_weight
from ..model.source import INPUTS_OF_TOOLS, open_source
from ..recipe import Precision
from .files import Progress, ToolError, layers, names_and_weights, new_file, with_config


@dataclass(frozen=True)
class Merged:
    """The result of a merge."""

    path: Path
    changed: int
    """Number of tensors that differ from the base's."""
    tensors: int
    new_words: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Files with new words, which a checkpoint can't contain."""

    @property
    def text(self) -> str:
        """Describe the result in sentences."""
        found = [f"{self.path}: {self.changed} of {self.tensors} tensors changed."]
        for name, words in self.new_words:
            found.append(
                f"{name} also contains the new {'words' if len(words) > 1 else 'word'} {', '.join(words)}, which a "
                "checkpoint can't: put the files whose names end in the word into the embeddings folder, or it has no "
                "effect in prompts."
            )
        return " ".join(found)


@torch.no_grad()
def merge(
    base: str | Path,
    files: Sequence[tuple[Path, float]],
    target: str | Path,
    precision: Precision | None = None,
    progress: Progress | None = None,
) -> Merged:
    """Write ``base`` with each file's change at its weight, one after the other, as programs apply them.

    Computed in float32. Keys, order and sizes are the base file's; so are number formats unless ``precision`` is given,
    and unchanged tensors are then equal bit for bit. Raises ModelError, LoraFileError, ToolError, CheckpointError or
    OSError.
    """
    target = new_file(target)
    if not files:
        raise ToolError("There is nothing to merge: name at least one LoRA file.")
    source = open_source(base, INPUTS_OF_TOOLS)
    all_places, shapes = source.places, layers(source.family)
    read = [(read_for(path, source.family, shapes).trained(), weight) for path, weight in files]
    loras = [(lora, weight) for lora, weight in read if weight]
    done = 0

    def changed(key: str, tensor: Tensor) -> Tensor | None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(source))
        places = [(place, place.name.removesuffix(".weight")) for place in all_places.get(key, ())]
        places = [(place, name) for place, name in places if any(name in lora for lora, _ in loras)]
        if not places:
            if key in all_places and not bool(finite(tensor).all()):
                raise ToolError(
                    f"{source.path} has values in {key} that are not finite (NaN or infinite): choose another."
                )
            return None
        copy = tensor.to(torch.float32, copy=True)
        for place, name in places:
            piece = place.piece(copy)
            value = piece
            for lora, weight in loras:
                if name in lora:
                    value = changed_weight(lora[name].tensors, lora[name].scale, value, weight)
            piece.copy_(value)
        return copy

    entries = in_precision(source.entries, precision)
    merged = {"sdft_merged_into": source.path.name, "sdft_merged": names_and_weights(files)}
    title = {"modelspec.title": target.stem} if "modelspec.title" in source.metadata else {}
    metadata = checkpoint.model_metadata({**source.metadata, **title, **merged}, {})
    with with_config(source.path, target):
        count = checkpoint.write(target, entries, source.__getitem__, changed, metadata)
    words = [(path.name, tuple(new_words(TensorFile(path)))) for path, _ in files]
    return Merged(target, count, len(entries), tuple((name, found) for name, found in words if found))


def in_precision(entries: dict[str, Entry], precision: Precision | None) -> dict[str, Entry]:
    """Return the entries with their weights in another number format; integers, scalars and schedules keep theirs."""
    if precision is None:
        return entries
    wanted = PRECISIONS[precision]
    changed = {
        key: Entry(wanted, entry.shape) if entry.dtype.is_floating_point and entry.shape and _is_weight(key) else entry
        for key, entry in entries.items()
    }
    return aligned(changed)


def _is_weight(key: str) -> bool:
    """Return whether a tensor belongs to a module: schedules (``alphas_cumprod``, ``denoiser.sigmas``) don't."""
    return "." in key and not key.startswith("denoiser.")
