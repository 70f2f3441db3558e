"""Frames and bars: lines of one colour along opposite edges that end all at once, in a straight line."""

from __future__ import annotations

import numpy as np

from .backgrounds import in_blocks

LINE_DIFFERS = 10.0
"""Of 255: pixels of a line and of the lines before it differ less from the border's colour, all but a few."""
LINE_SHARE = 0.95
STEP = 24.0
"""Beyond the border most pixels of the line differ by this much from its colour."""
STEP_SHARE = 0.55
DEEPEST = 0.3
"""A border is at most this share of the side; more is background."""


def bordered(thumbs: np.ndarray) -> np.ndarray:
    """Which of the pictures (uint8 [n, side, side, 3]) have a border on two opposite sides, or on all."""
    return np.concatenate([_bordered(block) for block in in_blocks(thumbs)])


def _bordered(thumbs: np.ndarray) -> np.ndarray:
    across = _depths(thumbs), _depths(thumbs[:, ::-1])
    turned = thumbs.transpose(0, 2, 1, 3)
    down = _depths(turned), _depths(turned[:, ::-1])
    rows: np.ndarray = ((across[0] > 0) & (across[1] > 0)) | ((down[0] > 0) & (down[1] > 0))
    return rows


def _depths(thumbs: np.ndarray) -> np.ndarray:
    """Lines of border from the top; 0 where there is none."""
    count, side = thumbs.shape[:2]
    deepest = int(side * DEEPEST)
    top = thumbs[:, : deepest + 2].astype(np.float32)
    colour = np.median(top[:, 0], axis=1)
    # Where a frame runs around, the ends of the line beyond it still are of its colour.
    distance = np.abs(top - colour[:, None, None]).max(axis=3)
    plain = (distance <= LINE_DIFFERS).mean(axis=2) >= LINE_SHARE
    other = (distance >= STEP).mean(axis=2) >= STEP_SHARE
    depths = np.zeros(count, dtype=np.int64)
    for row in range(count):
        depth = int(np.argmin(plain[row])) if not plain[row].all() else len(plain[row])
        # The line in between may be half border, half picture.
        if 0 < depth <= deepest and other[row, depth : depth + 2].any():
            depths[row] = depth
    return depths
