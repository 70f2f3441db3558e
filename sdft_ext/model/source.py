"""A whole model on disk, tensor by tensor in the single file's layout: a checkpoint file or a diffusers folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..formats import single_file, single_file_layout
from ..formats.families import detect
from ..formats.family import Family
from ..formats.tensor_file import Entry, TensorFile
from . import borrow
from .copies import parameters
from .load import load_folder


@dataclass
class Source(Mapping[str, Tensor]):
    """Key → tensor, read when it is asked for; ``entries`` in the file's order."""

    path: Path
    family: Family
    entries: dict[str, Entry]
    metadata: dict[str, str]
    _get: Callable[[str], Tensor]

    def __getitem__(self, key: str) -> Tensor:
        return self._get(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def places(self) -> dict[str, list[borrow.Place]]:
        """Key → the parameters ('part.path.leaf') that it holds."""
        return borrow.places(self.family, self.entries)


def open_source(path: str | Path) -> Source:
    """Raises ModelError where it is no whole SD 1, SD 2 or SDXL model."""
    path = Path(path).expanduser()
    if path.is_dir():
        return _folder(path)
    checkpoint = single_file.read(path)
    shapes = {borrow.plain(key): shape for key, shape in checkpoint.shapes.items()}
    family = detect(shapes, checkpoint.metadata, checkpoint.config, str(path), path.parent)
    if hasattr(checkpoint._tensors, "get_tensor"):
        file = TensorFile(path)
        return Source(path, family, file.entries, file.metadata, file.__getitem__)
    entries = {key: Entry(checkpoint[key].dtype, tuple(shape)) for key, shape in checkpoint.shapes.items()}
    return Source(path, family, entries, {}, checkpoint.__getitem__)


def _folder(path: Path) -> Source:
    model = load_folder(path)
    held = dict(parameters(model))
    made = single_file_layout.keys(model.family, held)

    def get(key: str) -> Tensor:
        return made[key].join([held[name].detach() for name in made[key].names])

    entries = {key: Entry(found.dtype, tuple(found.shape)) for key in made if (found := get(key)) is not None}
    return Source(path, model.family, entries, {}, get)
