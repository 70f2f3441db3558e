"""Parts of bad safetensors files: headers, LoRAs, embeddings, and a base model whose weights are zeros on no disk."""

from __future__ import annotations

import functools
import json
import os
import struct
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import save_file

from tests.run import tiny

from .kind import Maker

QUERY = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
PATH = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
ENTRY: dict[str, Any] = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
DOWN, UP = torch.arange(64.0).reshape(2, 32) / 64, torch.ones(32, 2)
SIZES = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1, "F8_E4M3": 1}


def header(content: Any, data: bytes = b"\0" * 4) -> Maker:
    """Return a maker of a file with this header, which is a text or something that becomes JSON."""
    encoded = (
        content
        if isinstance(content, bytes)
        else content.encode()
        if isinstance(content, str)
        else json.dumps(content).encode()
    )
    return start(struct.pack("<Q", len(encoded)) + encoded + data)


def start(data: bytes) -> Maker:
    def make(folder: Path, _: Random) -> Path:
        (folder / "bad.safetensors").write_bytes(data)
        return folder / "bad.safetensors"

    return make


def entry(**changes: Any) -> Maker:
    return header({"a": {**ENTRY, **changes}})


def layer(root: str = QUERY, down: Any = DOWN, up: Any = UP, alpha: Any = 2.0) -> dict[str, torch.Tensor]:
    """A LoRA's layer: of 'sides' that are None, nothing."""
    values = {"lora_down.weight": down, "lora_up.weight": up, "alpha": alpha}
    return {f"{root}.{name}": torch.as_tensor(value) for name, value in values.items() if value is not None}


def file_of(
    tensors: dict[str, Any], metadata: Any = None, beside: dict[str, Any] | None = None, name: str = "bad.safetensors"
) -> Maker:
    """Return a maker of a sound file with these tensors, and of small files next to it."""

    def make(folder: Path, _: Random) -> Path:
        save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / name, metadata)
        for other, content in (beside or {}).items():
            (folder / other).write_bytes(content.encode() if isinstance(content, str) else content)
        return folder / name

    return make


@functools.lru_cache
def base_sizes() -> dict[str, tuple[str, tuple[int, ...]]]:
    """Number format and shape of each tensor of the tiny base model."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return {
            key: (kind, tuple(shape))
            for key, (kind, shape) in tiny.layout(tiny.checkpoint(Path(folder) / "base.safetensors")).items()
        }


def model(change: Any = None, beside: dict[str, str] | None = None, name: str = "bad.safetensors") -> Maker:
    """Return a maker of a base model; ``change`` takes and returns its sizes. All its numbers are zeros, in a hole of
    the file.
    """

    def make(folder: Path, _: Random) -> Path:
        sizes = dict(base_sizes())
        write_sizes(folder / name, (change(sizes) or sizes) if change else sizes)
        for other, content in (beside or {}).items():
            (folder / other).write_text(content)
        return folder / name

    return make


def write_sizes(path: Path, sizes: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    place, entries = 0, {}
    for key, (kind, shape) in sizes.items():
        length = SIZES[kind] * int(torch.Size(shape).numel())
        entries[key] = {"dtype": kind, "shape": list(shape), "data_offsets": [place, place + length]}
        place += length
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + place)


def without(*parts: str) -> Any:
    """Return a change that takes away every tensor whose name contains one of these."""
    return lambda sizes: {key: size for key, size in sizes.items() if not any(part in key for part in parts)}


def only(*parts: str) -> Any:
    return lambda sizes: {key: size for key, size in sizes.items() if any(part in key for part in parts)}


def sized(part: str, *shape: int, kind: str = "F32") -> Any:
    """Return a change that gives the first tensor whose name contains this another size."""

    def change(sizes: dict[str, Any]) -> None:
        sizes[next(key for key in sizes if part in key)] = (kind, shape)

    return change
