"""Plain backgrounds: the colour along a picture's edges if it is uniform, and the colour that most pictures share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

RING = 5
"""Width, in pixels of a thumbnail, of the ring along its edges that counts as background."""
PLAIN_SHARE = 0.75
"""A background is plain where at least this share of the ring has one colour."""
TOLERANCE = 26.0
"""Colours that differ by at most this much (of 255, in the channel that differs most) count as the same."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (250, 250, 250),
    "black": (12, 12, 12),
    "grey": (128, 128, 128),
    "red": (210, 40, 40),
    "orange": (245, 140, 30),
    "brown": (120, 80, 45),
    "yellow": (245, 220, 60),
    "green": (50, 150, 65),
    "turquoise": (60, 190, 190),
    "blue": (55, 90, 200),
    "purple": (140, 60, 180),
    "pink": (245, 170, 195),
    "beige": (225, 205, 170),
}


def ring(side: int, width: int = RING) -> np.ndarray:
    """Return a mask of the pixels along the edges, bool [side, side]."""
    mask = np.ones((side, side), dtype=bool)
    mask[width:-width, width:-width] = False
    return mask


def plain(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the colour of each picture's background, float32 [n, 3], and whether it is plain, bool [n].

    ``thumbs``: uint8 [n, side, side, 3].
    """
    blocks = [_plain(block) for block in in_blocks(thumbs)]
    return np.concatenate([colours for colours, _ in blocks]), np.concatenate([plain for _, plain in blocks])


def in_blocks(thumbs: np.ndarray, at_once: int = 256) -> Iterator[np.ndarray]:
    """Yield the thumbnails in blocks, at least one: thousands of pictures as floats would fill the memory."""
    return (thumbs[start : start + at_once] for start in range(0, max(len(thumbs), 1), at_once))


def _plain(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    around = thumbs[:, ring(thumbs.shape[1])].astype(np.float32)
    colours = np.median(around, axis=1)
    near = np.abs(around - colours[:, None]).max(axis=2) <= TOLERANCE
    return colours, near.mean(axis=1) >= PLAIN_SHARE


def most_common(colours: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the colour that most of the rows ``among`` (indices) share, float32 [3], and those rows."""
    if not len(among):
        return np.zeros(3, np.float32), among
    own = colours[among]
    # At most about 500 candidates: more would only repeat the same colours.
    candidates = own[:: max(len(own) // 500, 1)]
    counts = [int((np.abs(own - colour).max(axis=1) <= TOLERANCE).sum()) for colour in candidates]
    best = candidates[int(np.argmax(counts))]
    rows = among[np.abs(own - best).max(axis=1) <= TOLERANCE]
    return np.median(colours[rows], axis=0), rows


def colour_name(colour: np.ndarray) -> str:
    """Return the name of the nearest colour in COLOURS; for greys, only white, black or grey."""
    grey = float(np.ptp(colour)) < 24
    names = [name for name in COLOURS if not grey or name in ("white", "black", "grey")]
    return min(names, key=lambda name: float(((np.array(COLOURS[name]) - colour) ** 2).sum()))
