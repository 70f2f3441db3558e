"""Choose where a picture is cropped: the window with the most edges, the highest entropy, or the faces."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..dataset.buckets import Geometry
from ..dataset.crops import Crop, placed
from ..dataset.folder import Picture
from ..dataset.pictures import open_picture
from .options import Focus

SIDE = 256
"""Longer side in pixels at which edges and entropy are measured."""
FACE_SIDE = 768
"""Longer side in pixels at which faces are detected."""
STEPS = 32
"""Positions tried along each side."""
TOLERANCE = 0.02
"""Windows whose score is lower by at most this share are as good as the best; the one nearest the middle is taken."""
GREYS = 32
"""Grey levels that entropy is computed from."""
MAX_CACHED = 50_000
"""Crops that a CropFinder caches."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the sides."""
Faces = Callable[[Any], Sequence[Box]]
"""Detects the faces in an RGB picture."""


class CropFinder:
    """Finds where to crop pictures; caches that until a file changes. ``faces``: a face detector, if there is one."""

    def __init__(self, faces: Faces | None = None) -> None:
        self.faces = faces
        self._found: OrderedDict[Any, Geometry] = OrderedDict()
        self._lock = threading.Lock()

    def place(self, picture: Picture, geometry: Geometry, focus: Focus) -> Geometry:
        """Return the geometry with its window at the focus. Raises PictureError where the picture can't be read."""
        key = (picture.path, picture.size, picture.mtime_ns, geometry, focus, self.faces is None)
        with self._lock:
            if key in self._found:
                return self._found[key]
        found = geometry if focus == "middle" else self._find(picture, geometry, focus)
        with self._lock:
            self._found[key] = found
            while len(self._found) > MAX_CACHED:
                self._found.popitem(last=False)
        return found

    def _find(self, picture: Picture, geometry: Geometry, focus: Focus) -> Geometry:
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
    """Choose the window with the largest mean gradient. ``grey``: the picture, reduced, float32 [height, width]."""
    from scipy.ndimage import gaussian_gradient_magnitude

    gradients = gaussian_gradient_magnitude(grey, 1.0)
    return _best(geometry, gradients, lambda part: float(part.mean()))


def most_entropy(geometry: Geometry, grey: np.ndarray) -> Geometry:
    """Choose the window with the highest Shannon entropy of its grey levels. ``grey``: float32 [height, width]."""
    levels = np.clip(grey * (GREYS / 256), 0, GREYS - 1).astype(np.int64)

    def entropy(part: np.ndarray) -> float:
        shares = np.bincount(part.ravel(), minlength=GREYS) / part.size
        shares = shares[shares > 0]
        return float(-(shares * np.log2(shares)).sum())

    return _best(geometry, levels, entropy)


def on_faces(geometry: Geometry, faces: Sequence[Box]) -> Geometry:
    """Choose the window around all faces, or around the largest one where they don't fit together."""
    wide, high = (side / whole for side, whole in zip(_sides(geometry), geometry.resized, strict=True))
    together = tuple(kind(face[n] for face in faces) for n, kind in enumerate((min, min, max, max)))
    if together[2] - together[0] > wide or together[3] - together[1] > high:
        together = max(faces, key=lambda face: (face[2] - face[0]) * (face[3] - face[1]))
    left, top, right, bottom = together
    return placed(geometry, Crop((left + right) / 2, (top + bottom) / 2))


def _best(geometry: Geometry, values: np.ndarray, score: Callable[[np.ndarray], float]) -> Geometry:
    """Choose the window with the highest score over a map of the picture, or a nearly as good one nearer the middle."""
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
    good = [candidate for candidate in tried if candidate[0] >= best - TOLERANCE * abs(best)]
    _, _, x, y = min(good, key=lambda candidate: candidate[1])
    return Geometry(geometry.bucket, geometry.resized, x, y)


def _places(slack: int) -> list[int]:
    """Return offsets spread evenly over ``slack`` pixels, with the middle; the middle alone for less than 8 pixels."""
    if slack < 8:
        return [slack // 2]
    return sorted({slack // 2, *(round(slack * number / STEPS) for number in range(STEPS + 1))})


def _sides(geometry: Geometry) -> tuple[int, int]:
    return geometry.bucket.width, geometry.bucket.height
