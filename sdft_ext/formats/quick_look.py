"""Detect the family of a model quickly, from the header of its safetensors file; nothing heavy is imported."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from ..storage import json_file

HEADER = 16 * 2**20
"""Most bytes of a header that is read; a checkpoint's has half a million."""
MAX_BRACKETS = 600_000
"""Of a header: those of 200,000 tensors."""
FIRST = "model.diffusion_model.input_blocks.0.0.weight"
XL, OPEN = "conditioner.embedders.1.model.", "cond_stage_model.model."
FULL_WIDTH = 320
"""Channels of the first layer of every Stable Diffusion; the toy model has fewer."""


@dataclass(frozen=True)
class ModelKind:
    """A model's ``family`` (sd1, sd2, sdxl, or toy for a much smaller one), and the ``resolution`` to train it at."""

    family: str
    resolution: int


RESOLUTION = {"sd1": 512, "sd2": 768, "sdxl": 1024, "toy": 64}


def model_kind(path: str, family: str = "") -> ModelKind:
    """Return the kind of model in a file; where the file doesn't tell, of the host's ``family``, or else sd1."""
    try:
        stat = Path(path).stat()
        found = _family(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        found = ""
    name = found or (family if family in RESOLUTION else "sd1")
    return ModelKind(name, RESOLUTION[name])


@functools.lru_cache(maxsize=32)
def _family(path: str, _modified: int, size: int) -> str:
    """Return the family by a file's header, or '' where it can't be read."""
    if not path.endswith(".safetensors"):
        return ""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(HEADER, size):
            return ""
        text = file.read(length)
    if text.count(b"[") + text.count(b"{") > MAX_BRACKETS:
        return ""
    try:
        header = json_file.parse(text)
        width = header[FIRST]["shape"][0]
    except (ValueError, TypeError, LookupError):
        return ""
    if not isinstance(width, int):
        return ""
    if width < FULL_WIDTH:
        return "toy"
    return (
        "sdxl" if any(k.startswith(XL) for k in header) else "sd2" if any(k.startswith(OPEN) for k in header) else "sd1"
    )
