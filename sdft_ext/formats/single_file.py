"""Read single-file checkpoints lazily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import ModelError
from . import pickles


@dataclass
class Checkpoint(Mapping[str, Tensor]):
    """A mapping from keys to tensors, each read from the file on access."""

    path: Path
    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]
    config: dict[str, Any] | None
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
    with open(path, "rb") as file:
        start = file.read(64)
    if not start:
        raise ModelError(f"{path} is empty (0 bytes): copy or download it again.")
    if start.lstrip()[:1] == b"<":
        raise ModelError(f"{path} is a web page, not a model: the download went wrong; download it again.")
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(f"{path} is only a Git LFS pointer to the file: run 'git lfs pull', or download the file.")
    if path.suffix.lower() in pickles.ENDINGS and start[8:10] != b'{"':
        tensors, report = pickles.load_tensors(path)
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        return Checkpoint(path, shapes, {}, _config(path), tensors, report.dangerous)
    if start.startswith(b"PK"):
        raise ModelError(
            f"{path} is a zip archive, not a .safetensors file: if it is a checkpoint, change its extension to .ckpt; "
            "otherwise, unpack it."
        )
    try:
        opened = safe_open(path, framework="pt")
        shapes = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} can't be read as .safetensors ({error}): it is cut off or something else; copy or download it "
            "again."
        ) from error
    return Checkpoint(path, shapes, dict(opened.metadata() or {}), _config(path), opened)


def scan(path: str | Path) -> pickles.Report:
    """List what a checkpoint file would import; for a ``.safetensors`` file, nothing. Raises ModelError."""
    path = Path(path)
    if path.suffix.lower() == ".safetensors" and path.is_file():
        return pickles.Report(path, [], len(read(path)))
    return pickles.scan(path)


def _config(path: Path) -> dict[str, Any] | None:
    """Read the configuration next to a checkpoint, if there is one. Raises ModelError where it can't be read."""
    file = path.with_suffix(".yaml")
    if not file.is_file():
        return None
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} is not a readable configuration ({error}): fix it or move it away.") from error
    return content if isinstance(content, dict) else None
