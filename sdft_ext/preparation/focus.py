"""Where a picture is cut: the window that shows the most of it, by edges, by variety, or by faces."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..dataset.buckets import Geometry
from ..dataset.folder import Picture
from ..dataset.pictures import open_picture
from .crops import Crop, placed
from .options import Focus

SIDE = 256
"""Pixels of the longer side of what edges and variety are read from."""
FACE_SIDE = 768
STEPS = 32
"""Places along each side that are tried."""
NEARLY = 0.02
"""Windows that show so little less than the best are as good; the one nearest the middle wins."""
GREYS = 32
"""Levels that variety is counted in."""
MOST_KEPT = 50_000

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the sides."""
Faces = Callable[[Any], Sequence[Box]]
"""Finds the faces in an RGB picture."""


class Looker:
    """Finds where pictures are cut, and remembers it while a file stays as it is. ``faces`` where somebody can find
    them.
    """

    def __init__(self, faces: Faces | None = None) -> None:
        self.faces = faces
        self._found: OrderedDict[Any, Geometry] = OrderedDict()
        self._lock = threading.Lock()

    def place(self, picture: Picture, geometry: Geometry, focus: Focus) -> Geometry:
        """The geometry with its window at what matters. Raises PictureError where the picture can't be opened."""
        key = (picture.path, picture.size, picture.mtime_ns, geometry, focus, self.faces is None)
        with self._lock:
            if key in self._found:
                return self._found[key]
        found = geometry if focus == "middle" else self._look(picture, geometry, focus)
        with self._lock:
            self._found[key] = found
            while len(self._found) > MOST_KEPT:
                self._found.popitem(last=False)
        return found

    def _look(self, picture: Picture, geometry: Geometry, focus: Focus) -> Geometry:
        side = FACE_SIDE if focus == "faces" and self.faces is not None else SIDE
        image, _ = open_picture(picture.path, at_least=(side // 2, side // 2))
        image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
        if focus == "faces" and self.faces is not None:
            faces = list(self.faces(image))
            if faces:
                return on_faces(geometry, faces)
        image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        grey = np.asarray(image.convert("L"), dtype=np.float32)
        return most_entropy(geometry, grey) if focus == "entropy" else most_edges(geometry, grey)


def most_edges(geometry: Geometry, grey: np.ndarray) -> Geometry:
    """The window with the most change of brightness in it. ``grey`` is the picture, small: float32 [height, width]."""
    from scipy.ndimage import gaussian_gradient_magnitude

    slopes = gaussian_gradient_magnitude(grey, 1.0)
    return _best(geometry, slopes, lambda part: float(part.mean()))


def most_entropy(geometry: Geometry, grey: np.ndarray) -> Geometry:
    """The window whose greys are the most various (Shannon's entropy of 32 levels)."""
    levels = np.clip(grey * (GREYS / 256), 0, GREYS - 1).astype(np.int64)

    def entropy(part: np.ndarray) -> float:
        shares = np.bincount(part.ravel(), minlength=GREYS) / part.size
        shares = shares[shares > 0]
        return float(-(shares * np.log2(shares)).sum())

    return _best(geometry, levels, entropy)


def on_faces(geometry: Geometry, faces: Sequence[Box]) -> Geometry:
    """The window around all faces, or around the largest where they don't fit in together."""
    wide, high = (side / whole for side, whole in zip(_sides(geometry), geometry.resized, strict=True))
    together = tuple(kind(face[n] for face in faces) for n, kind in enumerate((min, min, max, max)))
    if together[2] - together[0] > wide or together[3] - together[1] > high:
        together = max(faces, key=lambda face: (face[2] - face[0]) * (face[3] - face[1]))
    left, top, right, bottom = together
    return placed(geometry, Crop((left + right) / 2, (top + bottom) / 2))


def _best(geometry: Geometry, values: np.ndarray, score: Callable[[np.ndarray], float]) -> Geometry:
    """The window with the highest score over a map of the picture; nearly as good ones nearer the middle are
    preferred.
    """
    height, width = values.shape
    across, down = (_places(slack) for slack in geometry.slack)
    tried: list[tuple[float, float, int, int]] = []
    for y in down:
        for x in across:
            left, top = round(x / geometry.resized[0] * width), round(y / geometry.resized[1] * height)
            right = max(round((x + geometry.bucket.width) / geometry.resized[0] * width), left + 1)
            bottom = max(round((y + geometry.bucket.height) / geometry.resized[1] * height), top + 1)
            away = abs(x - geometry.slack[0] / 2) + abs(y - geometry.slack[1] / 2)
            tried.append((score(values[top:bottom, left:right]), away, x, y))
    best = max(tried)[0]
    good = [one for one in tried if one[0] >= best - NEARLY * abs(best)]
    _, _, x, y = min(good, key=lambda one: one[1])
    return Geometry(geometry.bucket, geometry.resized, x, y)


def _places(slack: int) -> list[int]:
    """Evenly spread over the room to move, its middle among them. A few pixels are no choice."""
    if slack < 8:
        return [slack // 2]
    return sorted({slack // 2, *(round(slack * number / STEPS) for number in range(STEPS + 1))})


def _sides(geometry: Geometry) -> tuple[int, int]:
    return geometry.bucket.width, geometry.bucket.height
