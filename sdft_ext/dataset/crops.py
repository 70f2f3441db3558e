"""Crops that the user has moved by hand, stored in the dataset's folder; training and preparation use them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..recipe import DatasetRecipe
from ..storage import atomic, json_file
from ..storage.hidden_folder import hidden_folder
from .buckets import Geometry, assign

FILE = "crops.json"
MAX_ZOOM = 8.0
MAX_CROPS = 100_000
"""Crops stored for one folder; older ones are dropped."""


@dataclass(frozen=True)
class Crop:
    """A crop: its centre as shares of the picture's sides, and its zoom, where 1 is the largest crop that fits."""

    x: float
    y: float
    zoom: float = 1.0


def fitted(size: tuple[int, int], crop: Crop | None, recipe: DatasetRecipe) -> Geometry:
    """Fit a picture of this width and height into its bucket, at its crop, or in the middle without one."""
    geometry = assign(*size, recipe)
    return geometry if crop is None else placed(geometry, crop)


def placed(geometry: Geometry, crop: Crop) -> Geometry:
    """Return the geometry with its window at a crop, moved inwards where it would leave the picture."""
    g = geometry
    zoom = min(max(crop.zoom, 1.0), MAX_ZOOM)
    resized = (round(g.resized[0] * zoom), round(g.resized[1] * zoom))
    x = min(max(round(crop.x * resized[0] - g.bucket.width / 2), 0), resized[0] - g.bucket.width)
    y = min(max(round(crop.y * resized[1] - g.bucket.height / 2), 0), resized[1] - g.bucket.height)
    return Geometry(g.bucket, resized, x, y)


def read(folder: Path) -> dict[str, tuple[Crop, tuple[int, int]]]:
    """Read the crops by the picture's name below the folder, with the size that the picture had. What is damaged is
    left out.
    """
    try:
        return _read(folder)
    except (OSError, ValueError):
        return {}


def find(crops: Mapping[str, tuple[Crop, tuple[int, int]]], name: str, size: tuple[int, int]) -> Crop | None:
    """Return the crop of a picture, or None where it has none or its size (width, height) has changed."""
    crop, then = crops.get(name, (None, None))
    return crop if then == size else None


def name_below(path: Path, folder: Path) -> str:
    """Return a picture's path below the folder, with slashes; its bare name where links lead elsewhere."""
    try:
        return PurePosixPath(path.relative_to(folder)).as_posix()
    except ValueError:
        return path.name


def store(folder: Path, name: str, size: tuple[int, int], crop: Crop | None) -> None:
    """Store a picture's crop with its size, or delete it with None. Raises HiddenFolderError or OSError where the
    folder can't be read or written.
    """
    crops = _read(folder)
    crops.pop(name, None)
    if crop is not None:
        crops[name] = crop, size
    listed = {
        n: {"x": round(c.x, 5), "y": round(c.y, 5), "zoom": round(c.zoom, 4), "size": list(then)}
        for n, (c, then) in list(crops.items())[-MAX_CROPS:]
    }
    # As ASCII, because a name may contain bytes that aren't UTF-8.
    atomic.text(hidden_folder(folder, make=True) / FILE, json.dumps({"crops": listed}, indent=1) + "\n")


def _read(folder: Path) -> dict[str, tuple[Crop, tuple[int, int]]]:
    """Read the crops as ``read`` does. Raises HiddenFolderError or OSError where the file can't be read."""
    listed = json_file.read_to_extend(hidden_folder(folder) / FILE, {}).get("crops")
    found = {str(name): _crop(entry) for name, entry in (listed.items() if isinstance(listed, dict) else ())}
    return {name: crop for name, crop in found.items() if crop is not None}


def _crop(entry: Any) -> tuple[Crop, tuple[int, int]] | None:
    try:
        crop = Crop(float(entry["x"]), float(entry["y"]), float(entry.get("zoom", 1.0)))
        size = (int(entry["size"][0]), int(entry["size"][1]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
        return None
    finite = all(math.isfinite(value) for value in (crop.x, crop.y, crop.zoom))
    return (crop, size) if finite and 0 <= crop.x <= 1 and 0 <= crop.y <= 1 and 1 <= crop.zoom <= MAX_ZOOM else None
