"""Finds faces in a picture with what the WebUI has: its focal point module where the detector's file exists, else
OpenCV.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

_LOCK = threading.Lock()
"""OpenCV's classifiers keep state while they work."""
_CLASSIFIER: list[Any] = []
LEAST = 0.05
"""Smallest face, as a fraction of the shorter side: a smaller one isn't what the picture is about."""
NEIGHBOURS = 7
FOREHEAD, CHIN = 0.33, 0.67
"""The WebUI puts a face's point at a third of its height."""


def faces(image: Image.Image) -> list[tuple[float, float, float, float]]:
    """Find left, top, right and bottom of each face, as fractions of the sides. Downloads nothing."""
    import cv2
    from modules.textual_inversion import autocrop

    model = Path(autocrop.model_file_path)
    with _LOCK:
        if model.is_file():
            try:
                return _by_model(autocrop, image, model)
            except cv2.error:  # the download was cut off, or OpenCV is too old for the file
                return _by_cascade(image)
        return _by_cascade(image)


def _by_model(autocrop: Any, image: Image.Image, model: Path) -> list[tuple[float, float, float, float]]:
    settings = autocrop.Settings(dnn_model_path=str(model))
    found = []
    for point in autocrop.image_face_points(image, settings):
        half = point.size / 2
        box = (point.x - half, point.y - point.size * FOREHEAD, point.x + half, point.y + point.size * CHIN)
        found.append(_shares(box, image))
    return found


def _by_cascade(image: Image.Image) -> list[tuple[float, float, float, float]]:
    """Use OpenCV's classifier. The WebUI's own use of it fails as soon as it finds a face (it takes the truth of an
    array).
    """
    import cv2

    if not _CLASSIFIER:
        _CLASSIFIER.append(cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml"))
    least = max(int(min(image.size) * LEAST), 20)
    grey = np.asarray(image.convert("L"))
    found = _CLASSIFIER[0].detectMultiScale(grey, 1.1, NEIGHBOURS, minSize=(least, least))
    return [_shares((x, y, x + w, y + h), image) for x, y, w, h in found]


def _shares(box: tuple[float, float, float, float], image: Image.Image) -> tuple[float, float, float, float]:
    width, height = image.size
    left, top, right, bottom = (float(value) for value in box)
    return max(left / width, 0.0), max(top / height, 0.0), min(right / width, 1.0), min(bottom / height, 1.0)
