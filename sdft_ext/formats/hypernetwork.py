"""The WebUI's hypernetwork file: a ``.pt`` with the weights of two small networks for each width, and their structure.

Integer keys are widths; each has the state dicts of the network before the attention's keys and of the one before its
values. The other keys are the settings from which the WebUI builds them.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError, SdftError
from ..recipe import Precision
from ..storage import atomic
from . import pickles
from .tensor_file import PRECISIONS

Weights = dict[str, Tensor]
_READ_BY_THE_WEBUI = re.compile(r"^[^/]+/(data/\d+|version|byteorder|\.data/serialization_id|data\.pkl)$")
"""Entries that the WebUI's pickle check accepts; newer versions of torch add others, which aren't needed."""
MAX_LAYERS, MAX_WIDTH = 100, 64
"""Of a network's structure; a width counts in multiples of the input's."""
_OLD = {"linear1.": "linear.0.", "linear2.": "linear.1."}


class HypernetworkFileError(SdftError, ValueError):
    """A file is not a hypernetwork, or can't be written in this format; the message names it."""


@dataclass(frozen=True)
class Structure:
    """The structure of each network. ``layers`` and ``dropout`` are equally long; ``layers`` begins and ends with 1."""

    layers: tuple[float, ...] = (1, 2, 1)
    activation: str = "linear"
    activate_last: bool = False
    layer_norm: bool = False
    dropout: tuple[float, ...] = (0, 0, 0)
    init: str = "Normal"


@dataclass(frozen=True)
class HypernetworkFile:
    """A hypernetwork file. ``weights``: width → state dicts of the networks before the keys and before the values."""

    structure: Structure
    weights: dict[int, tuple[Weights, Weights]]
    step: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)


def write(path: Path, file: HypernetworkFile, precision: Precision) -> None:
    """Write a file. Raises OSError where it can't be written, HypernetworkFileError where a value is too large for the
    number format.
    """
    structure = file.structure
    content: dict[Any, Any] = {
        width: tuple(
            OrderedDict((name, _converted(path, value, precision)) for name, value in state.items()) for state in both
        )
        for width, both in file.weights.items()
    }
    content |= {
        "step": file.step,
        "name": path.stem,
        "layer_structure": list(structure.layers),
        "activation_func": structure.activation,
        "is_layer_norm": structure.layer_norm,
        "weight_initialization": structure.init,
        "sd_checkpoint": file.about.get("sd_checkpoint"),
        "sd_checkpoint_name": file.about.get("sd_checkpoint_name"),
        "activate_output": structure.activate_last,
        "use_dropout": any(structure.dropout),
        "dropout_structure": list(structure.dropout),
        "last_layer_dropout": structure.dropout[-2] != 0,
        "optional_info": file.about.get("optional_info"),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = _normalized(buffer.getvalue())
    atomic.write(path, lambda temporary: _write_bytes(temporary, data))


def read(path: str | Path) -> HypernetworkFile:
    """Read a file of this program or of the WebUI; nothing in it is run. Raises HypernetworkFileError."""
    path = Path(path)
    if not path.is_file():
        raise HypernetworkFileError(f"{path} doesn't exist: name a hypernetwork's .pt file.")
    try:
        content, _ = pickles.load(path)
    except (ModelError, OSError) as error:
        raise HypernetworkFileError(f"{path} can't be read as a hypernetwork ({error}).") from error
    widths = [key for key in content if isinstance(key, int)] if isinstance(content, dict) else []
    if not widths:
        raise HypernetworkFileError(f"{path} is not a hypernetwork: it contains no networks.")
    try:
        return _file(content, widths)
    except HypernetworkFileError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise HypernetworkFileError(
            f"{path} is damaged or of an unknown kind ({error}): save or download it again."
        ) from error


def _file(content: Mapping[Any, Any], widths: list[int]) -> HypernetworkFile:
    """Return the networks and their structure. Raises TypeError and others where the content is something else."""
    layers = tuple(content.get("layer_structure") or (1, 2, 1))
    dropout = content.get("dropout_structure")
    structure = Structure(
        layers,
        content.get("activation_func") or "linear",
        bool(content.get("activate_output", True)),
        bool(content.get("is_layer_norm", False)),
        tuple(dropout) if dropout else old_dropout(len(layers), content),
        content.get("weight_initialization") or "Normal",
    )
    _check_structure(structure)
    weights = {width: (_renamed(content[width][0]), _renamed(content[width][1])) for width in widths}
    if not all(
        bool(torch.isfinite(value).all()) for both in weights.values() for one in both for value in one.values()
    ):
        raise ValueError("it has values that are NaN or infinite: its training failed")
    return HypernetworkFile(structure, weights, int(content.get("step") or 0), {})


def _check_structure(structure: Structure) -> None:
    """Raise ValueError for numbers from which no network can be built."""
    layers, dropout = structure.layers, structure.dropout
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (*layers, *dropout))
    if (
        not numbers
        or len(layers) < 2
        or len(layers) > MAX_LAYERS
        or not all(0 < width <= MAX_WIDTH for width in layers)
    ):
        raise ValueError(f"its layers are {str(layers)[:100]}")
    if len(dropout) < len(layers) or not all(0 <= share < 1 for share in dropout):
        raise ValueError(f"its dropout is {str(dropout)[:100]}")
    if not isinstance(structure.activation, str) or not isinstance(structure.init, str):
        raise ValueError("its activation is not a name")


def old_dropout(length: int, content: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the dropout of files without a dropout structure: 0.3 after each layer but the last one or two."""
    if not content.get("use_dropout"):
        return (0.0,) * length
    last = 0.3 if content.get("last_layer_dropout") else 0.0
    return (0.0, *((0.3,) * max(length - 3, 0)), last, 0.0)


def _renamed(weights: Mapping[str, Tensor]) -> Weights:
    """Return weights in float32 under their current names."""
    found = {}
    for name, value in weights.items():
        old = next((start for start in _OLD if name.startswith(start)), None)
        found[name if old is None else _OLD[old] + name[len(old) :]] = value.float()
    return found


def _converted(path: Path, value: Tensor, precision: Precision) -> Tensor:
    converted = value.detach().cpu().to(PRECISIONS[precision]).contiguous().clone()
    if not torch.isfinite(converted).all():
        raise HypernetworkFileError(
            f"{path} can't be written: it has values that are not finite in {precision}. Set save.precision to fp32, "
            "or train again with a lower learning rate."
        )
    return converted


def _normalized(data: bytes) -> bytes:
    """Return the archive with only the entries that the WebUI accepts, and with a fixed name and date."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for entry in source.infolist():
            if _READ_BY_THE_WEBUI.match(entry.filename):
                name = "archive/" + entry.filename.partition("/")[2]
                archive.writestr(zipfile.ZipInfo(name), source.read(entry))
    return target.getvalue()


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
