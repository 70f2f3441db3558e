"""Crops that a user has moved by hand, remembered in the dataset's folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dataset.buckets import Geometry
from ..dataset.folder import Picture
from ..storage import atomic, json_file
from ..storage.hidden_folder import hidden_folder

FILE = "crops.json"
MOST_ZOOM = 8.0
MOST = 100_000


@dataclass(frozen=True)
class Crop:
    """The middle of what is cut out, as shares of the picture's sides, and how much nearer than needed (1 and more)."""

    x: float
    y: float
    zoom: float = 1.0


def placed(geometry: Geometry, crop: Crop) -> Geometry:
    """The cut at a crop's place, moved inwards where it would leave the picture."""
    g = geometry
    zoom = min(max(crop.zoom, 1.0), MOST_ZOOM)
    resized = (round(g.resized[0] * zoom), round(g.resized[1] * zoom))
    x = min(max(round(crop.x * resized[0] - g.bucket.width / 2), 0), resized[0] - g.bucket.width)
    y = min(max(round(crop.y * resized[1] - g.bucket.height / 2), 0), resized[1] - g.bucket.height)
    return Geometry(g.bucket, resized, x, y)


def read(folder: Path) -> dict[str, tuple[Crop, tuple[int, int]]]:
    """Crops by the picture's name below the folder, with the size that the picture had. What can't be read is left
    out.
    """
    try:
        listed = json_file.read(hidden_folder(folder) / FILE)["crops"]
        pairs = list(listed.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    found: dict[str, tuple[Crop, tuple[int, int]]] = {}
    for name, told in pairs:
        crop = _crop(told)
        if crop is not None:
            found[name] = crop
    return found


def of(crops: Mapping[str, tuple[Crop, tuple[int, int]]], name: str, picture: Picture) -> Crop | None:
    """A picture's crop, unless the picture has another size by now."""
    crop, size = crops.get(name, (None, None))
    return crop if size == (picture.width, picture.height) else None


def remember(folder: Path, name: str, picture: Picture, crop: Crop | None) -> None:
    """Keep a crop, or with None forget it. Raises HiddenFolderError or OSError where the folder can't be written."""
    kept = read(folder)
    kept.pop(name, None)
    if crop is not None:
        kept[name] = crop, (picture.width, picture.height)
    listed = {
        n: {"x": round(c.x, 5), "y": round(c.y, 5), "zoom": round(c.zoom, 4), "size": list(size)}
        for n, (c, size) in list(kept.items())[-MOST:]
    }
    # As ASCII: a name may hold bytes that are no UTF-8.
    atomic.text(hidden_folder(folder, make=True) / FILE, json.dumps({"crops": listed}, indent=1) + "\n")


def _crop(told: Any) -> tuple[Crop, tuple[int, int]] | None:
    try:
        crop = Crop(float(told["x"]), float(told["y"]), float(told.get("zoom", 1.0)))
        size = (int(told["size"][0]), int(told["size"][1]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
        return None
    fine = all(math.isfinite(value) for value in (crop.x, crop.y, crop.zoom))
    return (crop, size) if fine and 0 <= crop.x <= 1 and 0 <= crop.y <= 1 and 1 <= crop.zoom <= MOST_ZOOM else None
