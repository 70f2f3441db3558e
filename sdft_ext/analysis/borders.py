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
