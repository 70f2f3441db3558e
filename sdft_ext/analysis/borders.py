"""Frames and bars: lines of one colour along opposite edges, which end abruptly in a straight line."""

from __future__ import annotations

import numpy as np

from .backgrounds import in_blocks

BORDER_TOLERANCE = 10.0
"""Pixels of the border differ by at most this much (of 255) from its colour …"""
LINE_SHARE = 0.95
""" … in at least this share of each line."""
STEP = 24.0
"""Beyond the border, pixels differ from its colour by at least this much …"""
STEP_SHARE = 0.55
""" … in at least this share of the line."""
MAX_DEPTH = 0.3
"""A border takes at most this share of the side; more is background."""


def bordered(thumbs: np.ndarray) -> np.ndarray:
    """Return which pictures (uint8 [n, side, side, 3]) have a border on two opposite sides, or on all; bool [n]."""
    return np.concatenate([_bordered(block) for block in in_blocks(thumbs)])


def _bordered(thumbs: np.ndarray) -> np.ndarray:
    across = _depths(thumbs), _depths(thumbs[:, ::-1])
    turned = thumbs.transpose(0, 2, 1, 3)
    down = _depths(turned), _depths(turned[:, ::-1])
    rows: np.ndarray = ((across[0] > 0) & (across[1] > 0)) | ((down[0] > 0) & (down[1] > 0))
    return rows


def _depths(thumbs: np.ndarray) -> np.ndarray:
    """Return the depth of the border at the top in lines, 0 where there is none; int64 [n]."""
    count, side = thumbs.shape[:2]
    deepest = int(side * MAX_DEPTH)
    top = thumbs[:, : deepest + 2].astype(np.float32)
    colour = np.median(top[:, 0], axis=1)
    # Inside a frame on all sides, the ends of each line still have its colour: hence STEP_SHARE.
    distance = np.abs(top - colour[:, None, None]).max(axis=3)
    plain = (distance <= BORDER_TOLERANCE).mean(axis=2) >= LINE_SHARE
    other = (distance >= STEP).mean(axis=2) >= STEP_SHARE
    depths = np.zeros(count, dtype=np.int64)
    for row in range(count):
        depth = int(np.argmin(plain[row])) if not plain[row].all() else len(plain[row])
        # The line between may be half border, half picture.
        if 0 < depth <= deepest and other[row, depth : depth + 2].any():
            depths[row] = depth
    return depths


FRAME_STEP, FRAME_SHARE = 16.0, 0.55
"""Of a frame to be removed: beyond it, at least this share of the line differs by at least this much …"""
LEAST_INSIDE = 0.5
""" … and at least this share of each side is inside."""


def inside(pixels: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return what the bars or the frame of a picture (uint8 [height, width, 3]) enclose: left, top, right and bottom in
    pixels; None where it has neither.
    """
    height, width = pixels.shape[:2]
    top, bottom = _bar(pixels), _bar(pixels[::-1])
    between = pixels[top : height - bottom].swapaxes(0, 1)
    left, right = _bar(between), _bar(between[::-1])
    box = left, top, width - right, height - bottom
    if box == (0, 0, width, height) or box[2] - left < LEAST_INSIDE * width or box[3] - top < LEAST_INSIDE * height:
        return None
    return box


def _bar(pixels: np.ndarray) -> int:
    """Return how many lines at the top are of one colour, if the picture begins abruptly below them; else 0."""
    deepest = len(pixels) - 2
    colour = np.median(pixels[0], axis=0)
    depth = 0
    while depth < deepest and (np.abs(pixels[depth] - colour).max(axis=1) <= BORDER_TOLERANCE).mean() >= LINE_SHARE:
        depth += 1
    beyond = np.abs(pixels[depth : depth + 3] - colour).max(axis=2) >= FRAME_STEP
    return depth if depth and depth < deepest and beyond.mean(axis=1).max() >= FRAME_SHARE else 0
