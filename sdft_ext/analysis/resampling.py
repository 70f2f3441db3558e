"""Resample square thumbnails: a window of each, or each under an affine map, for many at once."""

from __future__ import annotations

import numpy as np

Window = tuple[float, float, float, float]
"""Left, top, width and height of a part of a picture, as shares of its sides."""
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in a grey picture (ITU-R BT.601, as Pillow's)."""


def cut(pictures: np.ndarray, windows: np.ndarray, side: int) -> np.ndarray:
    """Resample each grey picture's window to ``side`` pixels (bilinear): [pairs, side, side].

    ``pictures`` [pairs, s, s]; ``windows`` [pairs, 4].
    """
    across, down = (blend(windows[:, n], windows[:, n + 2], pictures.shape[1], side) for n in (0, 1))
    result: np.ndarray = down @ pictures @ across.transpose(0, 2, 1)
    return result


def blend(start: np.ndarray, size: np.ndarray, side: int, wanted: int) -> np.ndarray:
    """Return matrices that resample a row of ``side`` pixels to ``wanted`` ones, [pairs, wanted, side].

    The weights are a triangle as wide as the pixels' distance, or as one pixel where that is less: bilinear, with
    antialiasing where a row shrinks.
    """
    distance = np.maximum(size * side / wanted, 1.0).astype(np.float32)[:, None, None]
    places = (start[:, None] + size[:, None] * (np.arange(wanted, dtype=np.float32) + 0.5) / wanted) * side - 0.5
    places = np.clip(places, 0, side - 1).astype(np.float32)
    weights = np.maximum(1.0 - np.abs(places[:, :, None] - np.arange(side, dtype=np.float32)) / distance, 0.0)
    result: np.ndarray = weights / weights.sum(axis=2, keepdims=True)
    return result


def warp(pictures: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Resample pictures under affine maps (bilinear): return [pairs, side, side(, channels)], and which of the result's
    pixels lie in the picture, bool [pairs, side, side].

    ``maps`` [pairs, 2, 3]: from the result's coordinates (x, y, 1), shares of its sides, to the picture's.
    """
    count, side = pictures.shape[:2]
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = (
        (maps[:, n, 0, None, None] * place + maps[:, n, 1, None, None] * place[:, None] + maps[:, n, 2, None, None])
        * side
        - 0.5
        for n in (0, 1)
    )
    inside = (x > -0.75) & (x < side - 0.25) & (y > -0.75) & (y < side - 0.25)
    x, y = np.clip(x, 0, side - 1.001), np.clip(y, 0, side - 1.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    first = (np.arange(count, dtype=np.int32) * side * side)[:, None, None] + top * side + left
    flat = pictures.reshape(count * side * side, -1)
    right, down = (x - left)[..., None], (y - top)[..., None]
    upper = flat[first] * (1 - right) + flat[first + 1] * right
    lower = flat[first + side] * (1 - right) + flat[first + side + 1] * right
    return (upper * (1 - down) + lower * down).reshape(pictures.shape), inside
