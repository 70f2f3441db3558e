"""Read single-file checkpoints lazily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import ModelError
from ..storage.regular_file import open_regular
from . import pickles
from .pickle_report import Report
from .tensor_file import HEADER_LIMIT, TensorFile, TensorFileError

MAX_CONFIG, MAX_ALIASES = 1_000_000, 1_000
"""Characters of a configuration, and aliases in it."""


@dataclass
class Checkpoint(Mapping[str, Tensor]):
    """A mapping from keys to tensors, each read from the file on access."""

    path: Path
    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]
    config: dict[str, Any] | None
    dtypes: dict[str, torch.dtype]
    _tensors: Any = field(repr=False)
    dangerous: bool = False
    """Whether it is a pickle with imports that could run programs; nothing in it was run."""

    def __getitem__(self, key: str) -> Tensor:
        tensor: Tensor = self._tensors.get_tensor(key) if hasattr(self._tensors, "get_tensor") else self._tensors[key]
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def read(path: str | Path) -> Checkpoint:
    """Open a ``.safetensors`` or ``.ckpt`` file, and the ``.yaml`` next to it.

    Its content decides, where it is clear, not its extension: some ``.ckpt`` files are safetensors. Raises ModelError
    where the file is missing, empty, truncated, or something else.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path} is a folder: choose a file.")
    if not path.is_file():
        raise ModelError(f"{path} doesn't exist: choose an existing file.")
    start = _start(path)
    if not start:
        raise ModelError(f"{path} is empty (0 bytes): copy or download it again.")
    if start.lstrip()[:1] == b"<":
        raise ModelError(f"{path} is a web page, not a model: the download went wrong; download it again.")
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(f"{path} is only a Git LFS pointer to the file: run 'git lfs pull', or download the file.")
    if path.suffix.lower() in pickles.ENDINGS and not is_tensor_file(start):
        tensors, report = pickles.load_tensors(path)
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        dtypes = {key: tensor.dtype for key, tensor in tensors.items()}
        return Checkpoint(path, shapes, {}, _config(path), dtypes, tensors, report.dangerous)
    if start.startswith(b"PK"):
        raise ModelError(
            f"{path} is a zip archive, not a .safetensors file: if it is a checkpoint, change its extension to .ckpt; "
            "otherwise, unpack it."
        )
    try:
        file = TensorFile(path)
        opened = safe_open(path, framework="pt")
    except TensorFileError as error:
        raise ModelError(str(error)) from error
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} can't be read as .safetensors ({error}): it is cut off or something else; copy or download it "
            "again."
        ) from error
    shapes = {key: entry.shape for key, entry in file.entries.items()}
    dtypes = {key: entry.dtype for key, entry in file.entries.items()}
    return Checkpoint(path, shapes, file.metadata, _config(path), dtypes, opened)


def scan(path: str | Path) -> Report:
    """List what a checkpoint file would import; for one with safetensors in it, nothing. Raises ModelError.

    The error of a pickle that is called .safetensors says so where it could run programs: some programs go by a file's
    content.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() == ".safetensors" and not is_tensor_file(_start(path)):
        dangerous = False
        with suppress(ModelError):
            dangerous = pickles.scan(path).dangerous
        if dangerous:
            raise ModelError(
                f"{path} is called .safetensors, but is a pickle that could run programs: don't open it elsewhere."
            )
    named_pickle = path.suffix.lower() in pickles.ENDINGS
    if path.is_file() and (path.suffix.lower() == ".safetensors" or (named_pickle and is_tensor_file(_start(path)))):
        report = Report(path, tensors=len(read(path)))
        if named_pickle:
            pickles.note_pickle(path, report)
        return report
    return pickles.scan(path)


def is_tensor_file(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is a safetensors file: a length, and JSON of that length."""
    return start[8:].lstrip()[:1] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= HEADER_LIMIT


def _start(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(64)


def _config(path: Path) -> dict[str, Any] | None:
    """Read the configuration next to a checkpoint, if there is one. Raises ModelError where it can't be read."""
    file = path.with_suffix(".yaml")
    if not file.is_file():
        return None
    try:
        with open_regular(file) as opened:
            text = opened.read(MAX_CONFIG + 1).decode("utf-8")
        if len(text) > MAX_CONFIG or text.count("*") > MAX_ALIASES:
            raise ValueError("it is far larger than a configuration")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ModelError(f"{file} is not a readable configuration ({reason}): fix it or move it away.") from error
    return content if isinstance(content, dict) else None
