"""Write checkpoints in the layout of the file that they were trained from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import SdftError
from . import tensor_file
from .tensor_file import Entry

HASHES = ("modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash")
"""Metadata about a file's bytes, which are wrong in any other file."""


class CheckpointError(SdftError, ValueError):
    """A checkpoint can't be written in this format; the message names it."""


def write(
    path: Path,
    entries: Mapping[str, Entry],
    get: Callable[[str], Tensor],
    changed: Callable[[str, Tensor], Tensor | None],
    metadata: Mapping[str, str],
) -> int:
    """Write the tensors of ``get``, one at a time, with the values of ``changed``; return how many differ in the file.

    Keys, sizes, number formats and order are those of ``entries``. ``changed`` is called with a key and its tensor, and
    returns None for one that stays equal bit for bit. Raises CheckpointError where a value is too large for the number
    format, OSError where the file can't be written.
    """
    count = 0

    def next_tensor(key: str) -> Tensor:
        nonlocal count
        tensor, entry = get(key), entries[key]
        values = changed(key, tensor)
        if values is None:
            return tensor if tensor.dtype == entry.dtype else converted(path, key, tensor, entry.dtype)
        written = converted(path, key, values, entry.dtype)
        count += not torch.equal(written, tensor.to(entry.dtype))  # a small change may be lost in rounding
        return written

    tensor_file.write(path, entries, next_tensor, metadata)
    return count


def converted(path: Path, key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert a tensor to another number format. Raises CheckpointError where values aren't finite in it."""
    result = tensor.to(dtype)
    if dtype.is_floating_point and not bool(tensor_file.finite(tensor, dtype).all()):
        raise CheckpointError(
            f"{path} can't be written: {key} has values that are not finite in {str(dtype).removeprefix('torch.')}. "
            "Lower the learning rate or the weights, or use a base model in fp32."
        )
    return result


def model_metadata(metadata: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str]:
    """Return a run's metadata for a full model: with the base model's own, and without what is meant for a LoRA."""
    found = {**base, **metadata, "format": "pt"}
    architecture = found.get("modelspec.architecture", "").partition("/")[0]
    if architecture:
        found["modelspec.architecture"] = architecture
    return {name: value for name, value in found.items() if name not in ("modelspec.usage_hint", *HASHES)}
