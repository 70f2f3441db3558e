"""Read a complete model, a checkpoint file or a diffusers folder, one tensor at a time in the single file's layout."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..formats import single_file, single_file_layout
from ..formats.families import declares_prediction, detect, prediction_marks, prediction_metadata
from ..formats.family import Family
from ..formats.quantized import refuse_quantized
from ..formats.tensor_file import Entry, TensorFile
from . import borrow
from .copies import parameters
from .load import load, load_folder


@dataclass
class Source(Mapping[str, Tensor]):
    """A mapping from keys to tensors, each read on access; ``entries`` are in the file's order."""

    path: Path
    family: Family
    entries: dict[str, Entry]
    metadata: dict[str, str]
    _get: Callable[[str], Tensor]
    declared: bool = True
    """Whether it says what it predicts."""

    def __getitem__(self, key: str) -> Tensor:
        return self._get(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def places(self) -> dict[str, list[borrow.Place]]:
        """Map keys to the parameters ('part.path.leaf') that they contain. Raises ModelError where some are missing."""
        return borrow.complete_places(self.family, {key: entry.shape for key, entry in self.entries.items()}, self.path)


INPUTS_OF_TOOLS = (4, 8, 9)
"""Input channels of the UNets that LoRAs can be merged into and extracted from: inpainting and editing models' too."""


def open_source(path: str | Path, inputs: Sequence[int] = (4,), vae: bool = True) -> Source:
    """Open a model. ``inputs``: the numbers of input channels that its UNet may have; ``vae``: whether it needs a VAE.

    Raises ModelError where it isn't a complete SD 1, SD 2 or SDXL model.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _folder(path, inputs)
    checkpoint = single_file.read(path)
    refuse_quantized(checkpoint.dtypes, str(path))
    shapes = {borrow.file_key(key): shape for key, shape in checkpoint.shapes.items()}
    family = detect(shapes, checkpoint.metadata, checkpoint.config, str(path), path.parent, inputs, vae)
    declared = declares_prediction(shapes, checkpoint.metadata, checkpoint.config)
    if hasattr(checkpoint._tensors, "get_tensor"):
        file = TensorFile(path)
        return Source(path, family, file.entries, file.metadata, file.__getitem__, declared)
    entries = {key: Entry(checkpoint[key].dtype, tuple(shape)) for key, shape in checkpoint.shapes.items()}
    return Source(path, family, entries, {}, checkpoint.__getitem__, declared)


def with_prediction(source: Source) -> Source:
    """Return the model with what it predicts: an SD 2 whose file doesn't say it is asked, which loads it."""
    if source.family.name != "sd2" or source.declared:
        return source
    return dataclasses.replace(source, family=load(source.path).family)


def _folder(path: Path, inputs: Sequence[int]) -> Source:
    model = load_folder(path, inputs)
    by_name = dict(parameters(model))
    layout = single_file_layout.keys(model.family, by_name)
    marks = prediction_marks(model.family)

    def get(key: str) -> Tensor:
        if key in marks:
            return marks[key]
        return layout[key].join([by_name[name].detach() for name in layout[key].names])

    entries = {key: Entry(found.dtype, tuple(found.shape)) for key in layout if (found := get(key)) is not None}
    entries |= {key: Entry(tensor.dtype, tuple(tensor.shape)) for key, tensor in marks.items()}
    return Source(path, model.family, entries, prediction_metadata(model.family), get)
