"""Read and write safetensors files one tensor at a time, so that a file is never completely in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from ..errors import SdftError
from ..recipe import Precision
from ..storage import atomic, json_file
from ..storage.text import printable

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
PRECISIONS: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number formats by their names in recipes and tools."""
HEADER_LIMIT = 100_000_000
"""Bytes of a header that the format allows."""
MAX_BRACKETS, MAX_COMMAS = 600_000, 2_000_000
"""Of a header: those of 200,000 tensors. Each takes far more memory than its byte."""
MAX_DIMENSIONS = 64
"""Of a tensor, as in torch."""
MAX_SHOWN = 200
"""Characters of a name from a file that an error shows."""


class TensorFileError(SdftError, ValueError):
    """A file is not a safetensors file, or is damaged; the message names it."""


@dataclass(frozen=True)
class Entry:
    """Number format and shape of a tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Return the size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class TensorFile(Mapping[str, Tensor]):
    """A mapping from keys to tensors, each read on access. ``entries`` are in the file's order.

    Raises TensorFileError where the header can't be read or doesn't match the file's length, OSError where there is no
    file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        header, self._start = _header(self.path)
        self.metadata = _metadata(self.path, header.pop("__metadata__", None))
        self.entries: dict[str, Entry] = {}
        self._begins: dict[str, int] = {}
        found = [(*_entry(self.path, key, values), key) for key, values in header.items()]
        place = 0
        for entry, begin, end, key in sorted(found, key=lambda one: (one[1], one[2], one[3])):
            if (begin, end) != (place, place + entry.length):
                raise TensorFileError(
                    f"{self.path} is damaged: the offsets of {printable(key[:MAX_SHOWN])} are wrong. Download it again."
                )
            self.entries[key], self._begins[key] = entry, place
            place += entry.length
        if self._start + place != self.path.stat().st_size:
            raise TensorFileError(f"{self.path} is cut off or has extra data at its end: copy or download it again.")

    def __getitem__(self, key: str) -> Tensor:
        entry = self.entries[key]
        data = bytearray(entry.length)
        with open(self.path, "rb") as file:
            file.seek(self._start + self._begins[key])
            if file.readinto(data) != entry.length:
                raise TensorFileError(f"{self.path} was cut off while it was read.")
        if not data:
            return torch.empty(entry.shape, dtype=entry.dtype)
        return torch.frombuffer(data, dtype=torch.uint8).view(entry.dtype).reshape(entry.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def write(
    path: str | Path,
    entries: Mapping[str, Entry],
    get: Callable[[str], Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file, whole or not at all, with the tensors of ``get`` in the order of ``entries``.

    Raises OSError where it can't be written, and what ``get`` raises.
    """
    atomic.write(path, lambda temporary: write_in_place(temporary, entries, get, metadata))


def write_in_place(
    path: Path,
    entries: Mapping[str, Entry],
    get: Callable[[str], Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file directly to ``path``, for a temporary file or folder. Raises as ``write`` does."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    place = 0
    for key, entry in entries.items():
        header[key] = {
            "dtype": NAMES[entry.dtype],
            "shape": list(entry.shape),
            "data_offsets": [place, place + entry.length],
        }
        place += entry.length
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key, entry in entries.items():
            tensor = get(key).detach().cpu().contiguous()
            if Entry(tensor.dtype, tuple(tensor.shape)) != entry:
                raise ValueError(f"{key} is {tensor.dtype} {tuple(tensor.shape)}, not {entry}")
            file.write(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))


def finite(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return which values are finite in a number format, or in their own. (To fp8, torch cuts larger values off.)"""
    values = tensor if tensor.dtype.itemsize > 1 else tensor.float()
    most = torch.finfo(dtype).max if dtype is not None and dtype.is_floating_point else math.inf
    return torch.isfinite(values) & (values.abs() <= most)


def aligned(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Sort entries like safetensors: large number formats first, so that each tensor is aligned to its own."""
    return dict(sorted(entries.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))


def _metadata(path: Path, values: Any) -> dict[str, str]:
    """Return the metadata, which the format allows to be texts only. Raises TensorFileError."""
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise TensorFileError(f"{path} is damaged: its metadata are not names and texts. Save or download it again.")
    return values


def _entry(path: Path, key: str, values: Any) -> tuple[Entry, int, int]:
    """Return a tensor's entry, and where its data begin and end. Raises TensorFileError."""
    found = values if isinstance(values, dict) else {}
    dtype, shape, offsets = (found.get(name) for name in ("dtype", "shape", "data_offsets"))
    named = printable(key[:MAX_SHOWN])
    if isinstance(dtype, str) and dtype not in DTYPES:
        raise TensorFileError(
            f"{path} has numbers of a format that can't be read here ({printable(dtype[:MAX_SHOWN])}, in {named}): "
            "choose a file in fp32, fp16 or bf16."
        )
    if not isinstance(dtype, str) or not _lengths(shape) or not _lengths(offsets) or len(offsets) != 2:
        raise TensorFileError(f"{path} is damaged: its header says nothing usable about {named}. Download it again.")
    return Entry(DTYPES[dtype], tuple(shape)), offsets[0], offsets[1]


def _lengths(values: Any) -> TypeGuard[list[int]]:
    """Return whether this is a short list of whole numbers, none of them negative."""
    return (
        isinstance(values, list)
        and len(values) <= MAX_DIMENSIONS
        and all(type(value) is int and 0 <= value < 1 << 63 for value in values)
    )


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Read the header; return it and the offset of the tensors. Raises TensorFileError."""
    with open(path, "rb") as file:
        start = file.read(9)
        length = int.from_bytes(start[:8], "little")
        if not 2 <= length <= HEADER_LIMIT or start[8:] not in (b"{", b""):
            raise TensorFileError(f"{path} is not a safetensors file: choose another file.")
        text = start[8:] + file.read(length - 1)
    if len(text) != length:
        raise TensorFileError(f"{path} is cut off: copy or download it again.")
    if text.count(b"[") + text.count(b"{") > MAX_BRACKETS or text.count(b",") > MAX_COMMAS:
        raise TensorFileError(f"{path} lists far more tensors than a model has: choose another file.")
    try:
        header = json_file.parse(text, finite=True, unique=True)
    except ValueError as error:
        raise TensorFileError(
            f"{path} is not a safetensors file, or damaged ({error}): copy or download it again."
        ) from error
    if not isinstance(header, dict):
        raise TensorFileError(f"{path} is not a safetensors file: choose another file.")
    return header, 8 + length
