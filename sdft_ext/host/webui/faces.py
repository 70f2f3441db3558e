"""Faces in a picture, with what the WebUI carries: its own focal point module where the detector's file is there, or OpenCV."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

_LOCK = threading.Lock()
"""OpenCV's classifiers keep state while they look."""
_CLASSIFIER: list[Any] = []
LEAST = 0.05
"""Of the shorter side: what is smaller is no face that a picture is about."""
NEIGHBOURS = 7
FOREHEAD, CHIN = 0.33, 0.67
"""The WebUI names a face's point at a third of its height."""


def faces(image: Image.Image) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of each face as shares of the sides; empty where there is none. Downloads nothing."""
    import cv2
    from modules.textual_inversion import autocrop

    model = Path(autocrop.model_file_path)
    with _LOCK:
        if model.is_file():
            try:
                return _by_model(autocrop, image, model)
            except cv2.error:  # the file was cut off when it was downloaded, or OpenCV is too old for it
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
    """OpenCV's own classifier. The WebUI's way to it fails as soon as a face is found (it asks an array whether it is true)."""
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
