"""Typical copies of a picture: mirrored, smaller, re-encoded, cropped, brighter, darker."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageEnhance


def cropped(picture: Any, left: float, top: float, right: float, bottom: float) -> Any:
    """Crop these shares of the sides."""
    width, height = picture.size
    return picture.crop((int(width * left), int(height * top), int(width * (1 - right)), int(height * (1 - bottom))))


def encoded(picture: Any, quality: int = 40) -> Any:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def smaller(picture: Any, share: float = 0.6) -> Any:
    size = tuple(max(round(side * share), 16) for side in picture.size)
    return picture.resize(size, Image.Resampling.LANCZOS)


COPIES: dict[str, Callable[[Any], Any]] = {
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "60 percent": smaller,
    "quality 40": encoded,
    "less 8 percent around": lambda p: cropped(p, 0.04, 0.04, 0.04, 0.04),
    "less 8 percent on each side": lambda p: cropped(p, 0.08, 0.08, 0.08, 0.08),
    "less a corner": lambda p: cropped(p, 0.08, 0.08, 0, 0),
    "less the left": lambda p: cropped(p, 0.08, 0, 0, 0),
    "less the bottom": lambda p: cropped(p, 0, 0, 0, 0.08),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.1),
    "darker": lambda p: ImageEnhance.Brightness(p).enhance(0.9),
    "lighter": lambda p: p.point(lambda value: value + 20),
}
