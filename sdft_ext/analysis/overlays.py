"""Find what most pictures of a set have at the same place: a scene behind the object, a badge, a watermark, lettering.

Two maps are computed over all thumbnails. *Agreement*: the share of the pictures in which a pixel has the median colour
of that place. *Consistent gradients*: where brightness rises in the same direction in most pictures, which reveals a
faint mark over varying pictures (the median of the gradients, as Dekel et al. 2017 find watermarks); it takes a dozen
pictures to tell that from chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, binary_dilation, label

SAME = 22.0
"""Colours that differ by at most this much (of 255, in the channel that differs most) count as the same."""
AGREE = 0.6
"""Least share of the pictures that must agree at a place …"""
FEW, FEW_AGREE = 12, 0.75
""" … and the share where there are fewer than 12 pictures, which agree by chance more easily."""
SCENE = 0.3
"""Least share of the picture that must agree to count as a scene."""
MARK = (8, 0.12)
"""Least number of a thumbnail's pixels, and largest share of them, that a mark covers."""
FALL = 0.3
"""How much lower the agreement is just around a mark than in it."""
GRADIENT = 2.5
"""Consistent gradients: least median, of 255 per pixel …"""
SAME_SIGN = 0.85
""" … least share of the pictures with the same sign …"""
SIGNIFICANT = 6.0
""" … and least size, in standard errors of the median."""
GRADIENT_PIXELS = 10
"""Least number of pixels of a faint mark with consistent gradients."""
CORNER_PIXELS, CORNER_SHARE, CORNER_ERRORS, CORNER_SIGN = 8, 0.4, 2.3, 0.75
"""A mark in a corner: least number of rising and of falling edges, largest share of the corner that it covers, least
size of a gradient in standard errors, and least share of the pictures with its sign: many edges of both signs tell more
than one."""
CORNERS = ("upper left", "upper right", "lower left", "lower right")
SAMPLED = 300
"""Pictures of a large set that are used, evenly spread."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the sides."""


@dataclass(frozen=True)
class Area:
    """A part of the picture that is the same in ``rows``."""

    box: Box
    rows: np.ndarray


def scene(thumbs: np.ndarray) -> Area | None:
    """Find the same scene in most pictures (uint8 [n, side, side, 3])."""
    median, agreement = _agreement(_sample(thumbs))
    agrees = agreement >= _threshold(len(thumbs))
    if agrees.mean() < SCENE:
        return None
    return Area(_box(agrees), _rows(thumbs, median, agrees))


def mark(thumbs: np.ndarray, background: np.ndarray | None = None) -> Area | None:
    """Find the clearest small mark at the same place in most pictures (uint8 [n, side, side, 3]), such as a badge.

    ``background``: the colour of a plain background that most pictures share, which is never part of a mark.
    """
    sample = _sample(thumbs)
    median, agreement = _agreement(sample)
    if background is not None:
        agreement = np.where(np.abs(median - background).max(axis=2) <= SAME, 0.0, agreement)
    side = thumbs.shape[1]
    regions, count = label(agreement >= _threshold(len(sample)))
    best: tuple[float, np.ndarray] | None = None
    for number in range(1, count + 1):
        region = regions == number
        if not MARK[0] <= region.sum() <= MARK[1] * side * side:
            continue
        around = binary_dilation(region, iterations=4) & ~binary_dilation(region, iterations=1)
        fall = float(agreement[region].mean() - agreement[around].mean())
        if fall >= FALL and (best is None or fall > best[0]):
            best = fall, region
    if best is not None:
        return Area(_box(best[1]), _rows(thumbs, median, best[1]))
    return None if background is not None or len(sample) < FEW else _faint_mark(thumbs, sample)


def _faint_mark(thumbs: np.ndarray, sample: np.ndarray) -> Area | None:
    """Find a half-transparent mark by its consistent gradients, and the pictures whose gradients match it."""
    gradients = _gradients(sample)
    median = np.median(gradients, axis=1)
    deviation = 1.4826 * np.median(np.abs(gradients - median[:, None]), axis=1) + 1.0
    standard_error = 1.2533 * deviation / np.sqrt(len(sample))
    same_sign = (np.sign(gradients) == np.sign(median)[:, None]).mean(axis=1)
    certain = (np.abs(median) >= GRADIENT) & (same_sign >= SAME_SIGN) & (np.abs(median) >= SIGNIFICANT * standard_error)
    regions, count = label(binary_closing(certain.any(axis=0), iterations=2))
    sizes = [int((certain.any(axis=0) & (regions == number)).sum()) for number in range(1, count + 1)]
    side = thumbs.shape[1]
    if not sizes or max(sizes) < GRADIENT_PIXELS:
        return None
    region = regions == 1 + int(np.argmax(sizes))
    box = _box(region)
    if (box[2] - box[0]) * (box[3] - box[1]) > 3 * MARK[1] or region.sum() > 2 * MARK[1] * side * side:
        return None
    model = median[:, region]
    matches = [
        (_gradients(thumbs[start : start + SAMPLED])[:, :, region] * model[:, None]).sum(axis=(0, 2))
        for start in range(0, len(thumbs), SAMPLED)
    ]
    return Area(box, np.flatnonzero(np.concatenate(matches) > 0.4 * float((model**2).sum())))


def corner_mark(corners: np.ndarray) -> tuple[int, np.ndarray] | None:
    """Find a small mark at the same place of one corner in most pictures (grey, uint8 [n, 4, height, width]).

    Return the number of the corner, in the order of ``CORNERS``, and the rows that have it. Lettering has many edges
    that rise and fall close together: both signs are needed, so that a sky or a shaded corner is no mark.
    """
    if len(corners) < FEW:
        return None
    best: tuple[int, int, np.ndarray] | None = None
    for corner in range(corners.shape[1]):
        gradients = np.stack(np.gradient(corners[:, corner].astype(np.float32), axis=(1, 2)))
        median = np.median(gradients, axis=1)
        deviation = 1.4826 * np.median(np.abs(gradients - median[:, None]), axis=1) + 1.0
        error = 1.2533 * deviation / np.sqrt(len(corners))
        same_sign = (np.sign(gradients) == np.sign(median)[:, None]).mean(axis=1)
        certain = (np.abs(median) >= GRADIENT) & (same_sign >= CORNER_SIGN) & (np.abs(median) >= CORNER_ERRORS * error)
        rising, falling = int((certain & (median > 0)).sum()), int((certain & (median < 0)).sum())
        size = min(rising, falling)
        if size < CORNER_PIXELS or certain.any(axis=0).mean() > CORNER_SHARE:
            continue
        model = np.where(certain, median, 0)
        rows = np.flatnonzero((gradients * model[:, None]).sum(axis=(0, 2, 3)) > 0.4 * float((model**2).sum()))
        if best is None or size > best[0]:
            best = size, corner, rows
    return None if best is None else best[1:]


def _sample(thumbs: np.ndarray) -> np.ndarray:
    sample: np.ndarray = thumbs[:: -(-len(thumbs) // SAMPLED)]
    return sample


def _threshold(count: int) -> float:
    """Return the share of ``count`` pictures that must agree."""
    return FEW_AGREE if count < FEW else AGREE


def _agreement(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median colours, float32 [side, side, 3], and the share of pictures that have them, [side, side]."""
    median = np.median(thumbs, axis=0).astype(np.float32)
    near = np.abs(thumbs.astype(np.float32) - median).max(axis=3) <= SAME
    return median, near.mean(axis=0)


def _rows(thumbs: np.ndarray, median: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the pictures that have the median colours in most of a region."""
    shares = [
        (np.abs(thumbs[start : start + SAMPLED, where].astype(np.float32) - median[where]).max(axis=2) <= SAME).mean(
            axis=1
        )
        for start in range(0, len(thumbs), SAMPLED)
    ]
    return np.flatnonzero(np.concatenate(shares) >= AGREE)


def _gradients(thumbs: np.ndarray) -> np.ndarray:
    """Return the gradients of brightness, down and right: float32 [2, n, side, side]."""
    grey = thumbs.astype(np.float32).mean(axis=3)
    return np.stack(np.gradient(grey, axis=(1, 2)))


def _box(where: np.ndarray) -> Box:
    y, x = np.nonzero(where)
    height, width = where.shape
    return float(x.min() / width), float(y.min() / height), float((x.max() + 1) / width), float((y.max() + 1) / height)
