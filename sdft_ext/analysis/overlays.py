"""What stands at the same place in most pictures of a set: a scene behind the object, a badge, a watermark, lettering.

Two maps are made over all thumbnails. *Agreement*: in what share of the pictures a pixel has the middle colour of that
place. *Steady slopes*: where the brightness rises in the same direction in most pictures, which shows a faint mark over
changing pictures (the median of the gradients, as Dekel et al. 2017 find watermarks); a dozen pictures are needed to
tell it from chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, binary_dilation, label

SAME = 22.0
"""Of 255, in the channel that differs most: still the same colour."""
AGREE = 0.6
"""Share of the pictures in which a place must look the same …"""
FEW, FEW_AGREE = 12, 0.75
""" … and where there are fewer pictures than this: chance makes few agree."""
SCENE = 0.3
"""Share of the picture that agrees before it is a scene."""
MARK = (8, 0.12)
"""A mark covers at least so many pixels of a thumbnail, and at most this share of it."""
FALL = 0.3
"""So much less is the agreement just around a mark."""
SLOPE = 2.5
"""Steady slopes: least middle slope, of 255 a pixel …"""
STEADY = 0.85
""" … that so many of the pictures have the sign of …"""
CERTAIN = 6.0
""" … and that is so many times as large as chance would make it."""
SLOPE_PIXELS = 10
MOST = 300
"""Pictures of a large set that are looked at, evenly spread."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the sides."""


@dataclass(frozen=True)
class Area:
    """A part of the picture that looks the same in ``rows``."""

    box: Box
    rows: np.ndarray


def scene(thumbs: np.ndarray) -> Area | None:
    """The same surroundings in most pictures."""
    middle, agreement = _agreement(_some(thumbs))
    steady = agreement >= _least(len(thumbs))
    if steady.mean() < SCENE:
        return None
    return Area(_box(steady), _rows(thumbs, middle, steady))


def mark(thumbs: np.ndarray, background: np.ndarray | None = None) -> Area | None:
    """A small thing at the same place in most pictures, such as a badge or a watermark: the clearest one.

    ``background`` is the colour of a plain background that most pictures share: it is no part of a mark.
    """
    some = _some(thumbs)
    middle, agreement = _agreement(some)
    if background is not None:
        agreement = np.where(np.abs(middle - background).max(axis=2) <= SAME, 0.0, agreement)
    side = thumbs.shape[1]
    pieces, count = label(agreement >= _least(len(some)))
    best: tuple[float, np.ndarray] | None = None
    for number in range(1, count + 1):
        piece = pieces == number
        if not MARK[0] <= piece.sum() <= MARK[1] * side * side:
            continue
        around = binary_dilation(piece, iterations=4) & ~binary_dilation(piece, iterations=1)
        fall = float(agreement[piece].mean() - agreement[around].mean())
        if fall >= FALL and (best is None or fall > best[0]):
            best = fall, piece
    if best is not None:
        return Area(_box(best[1]), _rows(thumbs, middle, best[1]))
    return None if background is not None or len(some) < FEW else _faint(thumbs, some)


def _faint(thumbs: np.ndarray, some: np.ndarray) -> Area | None:
    slopes = _slopes(some)
    middle = np.median(slopes, axis=1)
    spread = 1.4826 * np.median(np.abs(slopes - middle[:, None]), axis=1) + 1.0
    chance = 1.2533 * spread / np.sqrt(len(some))
    same_sign = (np.sign(slopes) == np.sign(middle)[:, None]).mean(axis=1)
    sure = (np.abs(middle) >= SLOPE) & (same_sign >= STEADY) & (np.abs(middle) >= CERTAIN * chance)
    pieces, count = label(binary_closing(sure.any(axis=0), iterations=2))
    sizes = [int((sure.any(axis=0) & (pieces == number)).sum()) for number in range(1, count + 1)]
    side = thumbs.shape[1]
    if not sizes or max(sizes) < SLOPE_PIXELS:
        return None
    piece = pieces == 1 + int(np.argmax(sizes))
    box = _box(piece)
    if (box[2] - box[0]) * (box[3] - box[1]) > 3 * MARK[1] or piece.sum() > 2 * MARK[1] * side * side:
        return None
    model = middle[:, piece]
    likeness = [
        (_slopes(thumbs[start : start + MOST])[:, :, piece] * model[:, None]).sum(axis=(0, 2))
        for start in range(0, len(thumbs), MOST)
    ]
    return Area(box, np.flatnonzero(np.concatenate(likeness) > 0.4 * float((model**2).sum())))


def _some(thumbs: np.ndarray) -> np.ndarray:
    some: np.ndarray = thumbs[:: -(-len(thumbs) // MOST)]
    return some


def _least(count: int) -> float:
    """How many of the pictures must agree."""
    return FEW_AGREE if count < FEW else AGREE


def _agreement(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = np.median(thumbs, axis=0).astype(np.float32)
    near = np.abs(thumbs.astype(np.float32) - middle).max(axis=3) <= SAME
    return middle, near.mean(axis=0)


def _rows(thumbs: np.ndarray, middle: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The pictures that show the middle colours in most of that place."""
    shares = [
        (np.abs(thumbs[start : start + MOST, where].astype(np.float32) - middle[where]).max(axis=2) <= SAME).mean(
            axis=1
        )
        for start in range(0, len(thumbs), MOST)
    ]
    return np.flatnonzero(np.concatenate(shares) >= AGREE)


def _slopes(thumbs: np.ndarray) -> np.ndarray:
    """Of brightness, down and right: float32 [2, n, side, side]."""
    grey = thumbs.astype(np.float32).mean(axis=3)
    return np.stack(np.gradient(grey, axis=(1, 2)))


def _box(where: np.ndarray) -> Box:
    y, x = np.nonzero(where)
    height, width = where.shape
    return float(x.min() / width), float(y.min() / height), float((x.max() + 1) / width), float((y.max() + 1) / height)
