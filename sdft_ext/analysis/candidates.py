"""Find pairs of pictures that may be copies of each other, among thousands: parts of one are compared with all of the
other, in eight orientations, by perceptual hashes.

The hash is pHash's (Zauner 2010: the lowest frequencies of a discrete cosine transform of the grey picture), but each
frequency is kept as a number near -1 or 1, or near 0 where it is too weak to have a sure sign. Mirroring changes signs,
and a quarter turn exchanges rows and columns too, so that a picture is hashed once for all orientations. Brightness and
contrast change no sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.fft import dct

from .resampling import LUMINANCE, WHOLE, Window, blend, cut

FREQUENCIES = 8
"""Frequencies of the hash in each direction."""
SURE = 0.35
"""Frequencies weaker than this, as a share of what the picture has at that frequency on average, have no sure sign."""
CLOSE, ALIKE, BOTH = 0.5, 0.25, 1.05
"""Least cosine between the hashes of candidates, least correlation between their brightness in 16 × 16 cells, and least
sum of the two."""
SMALL, SMALL_CLOSE, SMALL_BOTH = 0.79, 0.8, 1.3
"""For windows with a side below this share of the picture's, of which there are many, larger limits."""
CELLS = 16
NEIGHBOURS = 24
"""Candidates for each picture, window and orientation; further copies are found through the others of their group."""
WINDOWS_EACH = 2
"""Windows tried for each pair and orientation."""
BLOCK = 1024
"""Pictures or pairs in one array operation."""

Orientation = tuple[bool, bool, bool]
"""Whether rows and columns are exchanged, then left and right, then top and bottom."""
UPRIGHT: Orientation = (False, False, False)
MIRRORED: Orientation = (False, True, False)
_BOTH = (False, True)
ORIENTATIONS: tuple[Orientation, ...] = (
    UPRIGHT,
    MIRRORED,
    *((a, b, c) for a in _BOTH for b in _BOTH for c in _BOTH if (a, b, c) not in (UPRIGHT, MIRRORED)),
)

_CUT = 0.08
_LEFT = 1 - _CUT
WINDOWS: tuple[Window, ...] = (
    WHOLE,
    (_CUT / 2, _CUT / 2, _LEFT, _LEFT),
    (_CUT, _CUT, _LEFT - _CUT, _LEFT - _CUT),
    *((x, y, _LEFT, _LEFT) for x in (0.0, _CUT) for y in (0.0, _CUT)),
    *((x, 0.0, _LEFT, 1.0) for x in (0.0, _CUT)),
    *((0.0, y, 1.0, _LEFT) for y in (0.0, _CUT)),
)
"""The parts of a picture that are hashed, because a cropped copy is like one of them …"""
IN_MIRROR = 3
""" … and how many of them for mirrored copies too."""
FEW = 500
"""Up to this number of pictures, smaller parts are hashed too, at these sides and distances between neighbours:"""
SIDES = ((1.0, 0.0), (0.9, 0.05), (0.8, 0.066), (0.7, 0.06), (0.6, 0.0572), (0.5, 0.05))
LONGEST = 1.7
"""Largest ratio between the sides of such parts, as shares of the whole's."""


@dataclass(frozen=True)
class Candidates:
    """Pairs, the most likely first: rows of the whole and of the part, the window of the whole that the part may show,
    float32 [pairs, 4], and the part's orientation, an index into ORIENTATIONS.
    """

    wholes: np.ndarray
    parts: np.ndarray
    windows: np.ndarray
    orientations: np.ndarray


def oriented(pictures: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Turn or mirror square pictures [n, side, side(, channels)]."""
    turned, across, down = orientation
    result = pictures.swapaxes(1, 2) if turned else pictures
    return result[:, :: -1 if down else 1, :: -1 if across else 1]


def candidates(thumbs: np.ndarray, owners: np.ndarray) -> Candidates:
    """Return the pairs of thumbnails (uint8 [n, side, side, 3]) that may be copies; never two of the same owner."""
    if len(thumbs) < 2:
        nothing = np.zeros(0, dtype=np.int64)
        return Candidates(nothing, nothing, np.zeros((0, 4), dtype=np.float32), nothing)
    grey = np.concatenate([block @ LUMINANCE for block in _blocks(thumbs)])
    windows = (*WINDOWS, *_small_windows()) if len(np.unique(owners)) <= FEW else WINDOWS
    signs = _Signs(grey)
    found = [np.zeros((5, 0), dtype=np.float32)]
    for number, window in enumerate(windows):
        hashes = signs.of(window)
        close = CLOSE if min(window[2:]) >= SMALL else SMALL_CLOSE
        for orientation in range(len(ORIENTATIONS) if number == 0 else 2 if number < IN_MIRROR else 1):
            found.append(_close(hashes, signs.turned[orientation], owners, (orientation, number), close))
    wholes, parts, orientations, numbers, cosines = _best_windows(np.concatenate(found, axis=1))
    chosen = np.array(windows, dtype=np.float32)[numbers]
    alike = _correlations(grey, wholes, parts, chosen, orientations)
    least = np.where(chosen[:, 2:].min(axis=1) >= SMALL, BOTH, SMALL_BOTH)
    likely = np.where((alike >= ALIKE) & (cosines + alike >= least), cosines + alike, 0)
    order = np.argsort(-likely, kind="stable")[: np.count_nonzero(likely)]
    return Candidates(wholes[order], parts[order], chosen[order], orientations[order])


@lru_cache(maxsize=1)
def _small_windows() -> tuple[Window, ...]:
    """Return windows of many sizes, shapes and places."""
    along = [(start, side) for side, step in SIDES for start in _starts(side, step)]
    return tuple(
        (x, y, width, height)
        for (y, height), (x, width) in product(along, along)
        if min(width, height) < 1 and max(width, height) <= LONGEST * min(width, height)
    )


def _starts(side: float, step: float) -> list[float]:
    count = round((1 - side) / step) + 1 if step else 1
    return np.linspace(0, 1 - side, count).tolist()


_BASIS = dct(np.eye(32, dtype=np.float32), axis=0)[:FREQUENCIES]
"""The lowest frequencies of 32 pixels, [8, 32]."""


class _Signs:
    """Hashes of all pictures: unit vectors [n, 64] of each window, and of the whole in each orientation."""

    def __init__(self, grey: np.ndarray) -> None:
        self.grey = grey
        self.usual = np.sqrt((self._waves(WHOLE) ** 2).mean(axis=0))
        whole = self._waves(WHOLE)
        odd = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)
        self.turned = []
        for turned, across, down in ORIENTATIONS:
            waves = whole.swapaxes(1, 2) if turned else whole
            self.turned.append(self._signs(waves * (odd if across else 1) * (odd[:, None] if down else 1)))

    def of(self, window: Window) -> np.ndarray:
        return self._signs(self._waves(window))

    def _waves(self, window: Window) -> np.ndarray:
        """Return the lowest frequencies of a window, without the mean, float32 [n, 8, 8]."""
        side = self.grey.shape[1]
        across, down = (
            _BASIS @ blend(np.float32([start]), np.float32([size]), side, 32)[0]
            for start, size in ((window[0], window[2]), (window[1], window[3]))
        )
        waves = down @ self.grey @ across.T
        waves[:, 0, 0] = 0
        return waves

    def _signs(self, waves: np.ndarray) -> np.ndarray:
        strength = np.sqrt((waves**2).mean(axis=(1, 2), keepdims=True))
        weak = SURE * strength * (self.usual / max(float(np.sqrt((self.usual**2).mean())), 1e-6)) + 1e-3
        signs = (waves / np.sqrt(waves**2 + weak**2)).reshape(len(waves), -1)
        return signs / np.maximum(np.linalg.norm(signs, axis=1, keepdims=True), 1e-6)


def _close(hashes: np.ndarray, parts: np.ndarray, owners: np.ndarray, of: tuple[int, int], close: float) -> np.ndarray:
    """Return the pairs whose hashes are close: whole, part, orientation, window and cosine; float32 [5, pairs].

    ``of``: orientation and window; ``close``: least cosine.
    """
    found = []
    for start in range(0, len(hashes), BLOCK):
        # Of two whole pictures, each pair once.
        cosines = hashes[: start + BLOCK if of[1] == 0 else None] @ parts[start : start + BLOCK].T
        near = cosines >= close
        crowded = np.flatnonzero(np.count_nonzero(near, axis=0) > NEIGHBOURS)
        if len(crowded):
            near[:, crowded] = _closest(cosines[:, crowded])
        whole, part = np.nonzero(near)
        cosine = cosines[whole, part]
        part += start
        wanted = owners[whole] != owners[part]
        if of[1] == 0:
            wanted &= whole < part
        pairs = (whole, part, np.full(len(whole), of[0]), np.full(len(whole), of[1]), cosine)
        found.append(np.stack(pairs).astype(np.float32)[:, wanted])
    return np.concatenate(found, axis=1) if found else np.zeros((5, 0), dtype=np.float32)


def _closest(cosines: np.ndarray) -> np.ndarray:
    """Choose the ``NEIGHBOURS`` largest of each column, of equal ones the first; bool [rows, columns].

    Thousands of equal pictures are all as close: each must not be paired with each.
    """
    most = len(cosines) - NEIGHBOURS
    least = np.partition(cosines, most, axis=0)[most]
    chosen = cosines >= least
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=0) > NEIGHBOURS)
    if len(tied):
        closer, equal = cosines[:, tied] > least[tied], cosines[:, tied] == least[tied]
        left = NEIGHBOURS - np.count_nonzero(closer, axis=0)
        chosen[:, tied] = closer | (equal & (np.cumsum(equal, axis=0) <= left))
    return chosen


def _best_windows(found: np.ndarray) -> tuple[np.ndarray, ...]:
    """Keep the closest windows of each pair and orientation; return the five rows, whole numbers but for the last."""
    whole, part, orientation, window = found[:4].astype(np.int64)
    cosine = found[4]
    pair = (whole * (part.max(initial=0) + 1) + part) * len(ORIENTATIONS) + orientation
    order = np.lexsort((-cosine, pair))
    same = np.concatenate([[False] * WINDOWS_EACH, pair[order][WINDOWS_EACH:] == pair[order][:-WINDOWS_EACH]])
    kept = order[~same[: len(order)]]
    return whole[kept], part[kept], orientation[kept], window[kept], cosine[kept]


def _correlations(
    grey: np.ndarray, wholes: np.ndarray, parts: np.ndarray, windows: np.ndarray, orientations: np.ndarray
) -> np.ndarray:
    """Return the correlation between the brightness of the windows and the parts, in 16 × 16 cells."""
    side = grey.shape[1]
    small = grey.reshape(len(grey), CELLS, side // CELLS, CELLS, side // CELLS).mean(axis=(2, 4))
    halved = grey.reshape(len(grey), side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    result = np.zeros(len(wholes), dtype=np.float32)
    for number, orientation in enumerate(ORIENTATIONS):
        turned = oriented(small, orientation)
        rows = np.flatnonzero(orientations == number)
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            one = cut(halved[wholes[some]], windows[some], CELLS).reshape(len(some), -1)
            other = turned[parts[some]].reshape(len(some), -1)
            one, other = (each - each.mean(axis=1, keepdims=True) for each in (one, other))
            size = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
            result[some] = (one * other).sum(axis=1) / np.maximum(size, 1e-6)
    return result


def _blocks(thumbs: np.ndarray) -> Iterator[np.ndarray]:
    return (thumbs[start : start + BLOCK] for start in range(0, len(thumbs), BLOCK))
