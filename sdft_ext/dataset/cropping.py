"""Crop a picture and its mask for training: open, resize, crop, mirror; PIL images, not tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from ..recipe import DatasetRecipe
from ..storage.text import printable
from . import pictures
from .buckets import Geometry
from .folder import Picture
from .pictures import PictureError


def open_with_mask(picture: Picture, recipe: DatasetRecipe, at_least: tuple[int, int] | None = None) -> tuple[Any, Any]:
    """Open a picture, upright and in RGB, and its mask (mode L, white is trained) or None.

    The mask is the alpha (with ``alpha: mask``), the picture's mask file, or the darker of both. ``at_least`` (width,
    height) as in ``pictures.open_picture``. Raises PictureError where the file is damaged, gone, or has another size
    than when it was scanned.
    """
    image, alpha = pictures.open_picture(picture.path, recipe.background, at_least)
    if not _same_shape(image.size, (picture.width, picture.height)):
        raise PictureError(f"{printable(picture.path)} was changed after it was scanned; start again.")
    mask = alpha if recipe.alpha == "mask" else None
    if picture.mask_path is not None:
        drawn = pictures.open_mask(picture.mask_path, image.size)
        mask = drawn if mask is None else _darker(mask, drawn)
    return image, mask


def crop(image: Any, geometry: Geometry, flip: bool) -> Any:
    """Fit an RGB picture into its bucket (Lanczos)."""
    return _crop(image, geometry, flip, Image.Resampling.LANCZOS)


def crop_mask(mask: Any, geometry: Geometry, flip: bool) -> Any:
    """Fit a mask (mode L) into its picture's bucket (area means)."""
    return _crop(mask, geometry, flip, Image.Resampling.BOX)


def mirror(image: Any) -> Any:
    """Flip an image left to right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _crop(image: Any, g: Geometry, flip: bool, resample: Any) -> Any:
    if image.size != g.resized:
        image = image.resize(g.resized, resample, reducing_gap=3.0)
    image = image.crop((g.x, g.y, g.x + g.bucket.width, g.y + g.bucket.height))
    return mirror(image) if flip else image


def _same_shape(size: tuple[int, int], scanned: tuple[int, int]) -> bool:
    """Return whether a size is the scanned one, or its half, quarter or eighth, at which JPEGs are decoded."""
    pairs = list(zip(size, scanned, strict=True))
    return any(all(abs(side * factor - full) < factor for side, full in pairs) for factor in (1, 2, 4, 8))


def _darker(one: Any, other: Any) -> Any:
    return Image.fromarray(np.minimum(np.asarray(one), np.asarray(other)))
