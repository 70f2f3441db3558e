"""Decide whether two thumbnails show the same picture: align one with the other, and measure what still differs.

One may be a part of the other, brighter or darker: position, size and brightness of the part are refined step by step
(Lucas and Kanade 1981, with a gain and an offset), for many pairs at once. Two conditions must then hold: the details
coincide (correlation of what a blur removes), and no cell of the picture differs more than re-encoding explains. The
first tells pictures of the same kind apart, such as two parts of one sky; the second, drawings that share all but one
figure.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import uniform_filter

Window = tuple[float, float, float, float]
"""Left, top, width and height of a part of a picture, as shares of its sides."""
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)

COARSE_STEPS, FINE_STEPS = 10, 4
"""Steps of the alignment, at half the thumbnails' side and at the full side."""
HOPELESS = 3 * 14.0
"""Pairs with a cell that differs by more than this (of 255) after the coarse steps are given up."""
DETAIL = 5
"""Width of the blur, in pixels of a thumbnail; what it removes is detail."""
MIN_CORRELATION = 0.8
"""Least correlation of the details …"""
FAINT = 0.6
""" … of pictures with at least this much detail (root mean square, of 255)."""
MIN_FAINT_CORRELATION = 0.97
"""Least correlation of the details of pictures with less …"""
EMPTY = 0.1
""" … but at least this much detail."""
MAX_CELL_DIFFERENCE = 14.0
"""Largest difference of a cell (the picture has 8 × 8), of 255 …"""
MAX_CELL_SHARE = 0.45
""" … and as a share of the picture's contrast (the standard deviation of its brightness)."""
FULL, NEARLY_FULL = 253.0, 225.0
"""A channel from FULL up is clipped; against one from NEARLY_FULL up, its difference isn't known."""
MAX_TINT = 4.0
"""Largest median difference of a colour channel, of 255: copies keep their tint, look-alikes don't."""
WHOLE_SIDE, MAX_WHOLE_TINT = 0.98, 9.0
"""Windows from this share of the side up are the whole picture. Its tint may differ more: brightening clips bright
colours, and there is no choice of window that could make up for it.
"""
GAIN = (0.75, 1.33)
OFFSET = 40.0
"""Limits of the brightness of one picture relative to the other: a gain, and an offset (of 255)."""
TYPICAL = 100.0
"""Scale of the offset in the linear system, so that all unknowns have a similar size."""
MIN_SIDE = 0.8
"""Least side of a part, as a share of the whole's."""


@dataclass(frozen=True)
class Similarity:
    """How similar pairs are, one value for each pair: ``details`` is the correlation of the details, ``cell`` the
    largest difference of a cell, ``tint`` that of a channel's median, ``contrast`` and ``detail`` how much the pictures
    show, ``gain`` and ``offset`` their relative brightness, and ``window`` [pairs, 4] where the part lies in the whole.
    """

    details: np.ndarray
    cell: np.ndarray
    tint: np.ndarray
    contrast: np.ndarray
    detail: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    window: np.ndarray

    @property
    def same(self) -> np.ndarray:
        """Return which pairs show the same picture, bool [pairs]."""
        close = self.cell <= np.minimum(MAX_CELL_DIFFERENCE, MAX_CELL_SHARE * self.contrast)
        whole = self.window[:, 2:].min(axis=1) >= WHOLE_SIDE
        close &= self.tint <= np.where(whole, MAX_WHOLE_TINT, MAX_TINT)
        fits = (self.gain >= GAIN[0]) & (self.gain <= GAIN[1]) & (np.abs(self.offset) <= OFFSET)
        clear = (self.details >= MIN_CORRELATION) & (self.detail >= FAINT)
        faint = (self.details >= MIN_FAINT_CORRELATION) & (self.detail >= EMPTY)
        return close & fits & (clear | faint)


def compare(wholes: np.ndarray, parts: np.ndarray, windows: np.ndarray) -> Similarity:
    """Compare pairs. ``wholes`` and ``parts``: uint8 [pairs, side, side, 3]; ``windows`` [pairs, 4]: roughly where each
    part lies in its whole.
    """
    small = _halved(wholes), _halved(parts)
    window = windows.astype(np.float32)
    light = np.tile(np.array([1, 0], dtype=np.float32), (len(window), 1))
    window, light = _align(small[0].mean(axis=3), small[1].mean(axis=3), window, light, COARSE_STEPS)
    result = _measure(*small, window, light)
    close = np.flatnonzero(result.cell <= HOPELESS)
    if len(close):
        whole, part = wholes[close].astype(np.float32), parts[close].astype(np.float32)
        window, light = _align(whole.mean(axis=3), part.mean(axis=3), window[close], light[close], FINE_STEPS)
        fine = _measure(whole, part, window, light)
        for field in fields(Similarity):
            getattr(result, field.name)[close] = getattr(fine, field.name)
    return result


def _measure(whole: np.ndarray, part: np.ndarray, window: np.ndarray, light: np.ndarray) -> Similarity:
    aligned = np.clip(_cut(whole, window) * light[:, 0, None, None, None] + light[:, 1, None, None, None], 0, 255)
    difference = _difference(aligned, part)
    one, other = _details(aligned.mean(axis=3)), _details(part.mean(axis=3))
    energy = np.sqrt((one**2).mean(axis=(1, 2))), np.sqrt((other**2).mean(axis=(1, 2)))
    product = (one * other).mean(axis=(1, 2))
    return Similarity(
        details=product / np.maximum(energy[0] * energy[1], 1e-6),
        cell=_cell_differences(difference).max(axis=(1, 2)),
        tint=np.abs(np.median(difference, axis=(1, 2))).max(axis=1),
        contrast=part.mean(axis=3).std(axis=(1, 2)),
        detail=np.minimum(*energy),
        gain=light[:, 0],
        offset=light[:, 1],
        window=window,
    )


def _halved(pictures: np.ndarray) -> np.ndarray:
    pairs, side = pictures.shape[:2]
    return pictures.reshape(pairs, side // 2, 2, side // 2, 2, 3).mean(axis=(2, 4), dtype=np.float32)


def cells(pictures: np.ndarray, window: Window, count: int = 4) -> np.ndarray:
    """Return the mean colours of ``count`` × ``count`` cells of each picture's window, float32 [n, count, count, 3]."""
    side = pictures.shape[1]
    left, top, width, height = (np.array([share], dtype=np.float32) for share in window)
    across, down = (
        _blend(*part, side)[0].reshape(count, -1, side).mean(axis=1) for part in ((left, width), (top, height))
    )
    found = np.empty((len(pictures), count, count, 3), dtype=np.float32)
    for start in range(0, len(pictures), 256):  # no copy of all pictures as floats
        block = pictures[start : start + 256].astype(np.float32)
        for colour in range(3):
            found[start : start + 256, ..., colour] = (down @ block[..., colour]) @ across.T
    return found


def _align(
    whole: np.ndarray, part: np.ndarray, window: np.ndarray, light: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Refine ``window`` [pairs, 4] and ``light`` [pairs, 2] (gain, offset) until the whole's window matches the part.

    Each step solves the Gauss-Newton equations of Lucas and Kanade for position, size, gain and offset.
    """
    pairs, side = part.shape[0], part.shape[1]
    smooth = [uniform_filter(picture, size=(0, 3, 3), mode="nearest") for picture in (whole, part)]
    down, right = np.gradient(smooth[0], axis=(1, 2))
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    for _ in range(steps):
        aligned, dx, dy = (_cut(each, window) for each in (smooth[0], right, down))
        slopes = [dx, dx * place[None, None, :], dy, dy * place[None, :, None]]
        # Derivatives by shares of a side, in the part's brightness.
        gain, offset = light[:, 0, None, None], light[:, 1, None, None]
        columns = [slope * side * gain for slope in slopes] + [aligned, np.full_like(aligned, TYPICAL)]
        system = np.stack(columns, axis=-1).reshape(pairs, side * side, 6)
        residual = (smooth[1] - aligned * gain - offset).reshape(pairs, side * side, 1)
        normal = system.transpose(0, 2, 1) @ system
        scale = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        step = np.linalg.solve(
            normal + np.eye(6, dtype=np.float32) * (1e-6 * scale + 1e-3), system.transpose(0, 2, 1) @ residual
        )[..., 0]
        step[:, :4] = np.clip(step[:, :4], -0.05, 0.05)
        window = _inside(window + step[:, (0, 2, 1, 3)].astype(np.float32))
        light = light + step[:, 4:].astype(np.float32) * np.array([1, TYPICAL], dtype=np.float32)
        light = np.clip(light, (0.5, -100), (2.0, 100)).astype(np.float32)
    return window, light


def _inside(window: np.ndarray) -> np.ndarray:
    """Clip windows to the whole picture and to the least side of a part."""
    size = np.clip(window[:, 2:], MIN_SIDE, 1.0)
    return np.concatenate([np.clip(window[:, :2], 0.0, 1.0 - size), size], axis=1)


def _cut(pictures: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Resample each picture's window to the full side (bilinear): [pairs, side, side(, colours)]."""
    side = pictures.shape[1]
    across, down = (_blend(window[:, n], window[:, n + 2], side) for n in (0, 1))
    if pictures.ndim == 3:
        return down @ pictures @ across.transpose(0, 2, 1)
    return np.stack([_cut(pictures[..., colour], window) for colour in range(pictures.shape[3])], axis=-1)


def _blend(start: np.ndarray, size: np.ndarray, side: int) -> np.ndarray:
    """Return matrices that resample a row, [pairs, side, side]: the weights of the two nearest pixels."""
    places = (start[:, None] + size[:, None] * (np.arange(side, dtype=np.float32) + 0.5) / side) * side - 0.5
    places = np.clip(places, 0, side - 1)
    return np.maximum(1.0 - np.abs(places[:, :, None] - np.arange(side, dtype=np.float32)), 0.0)


def _details(grey: np.ndarray) -> np.ndarray:
    """Return what a blur removes, slightly smoothed, because re-encoding changes the finest detail."""
    fine = uniform_filter(grey, size=(0, 2, 2), mode="nearest")
    return fine - uniform_filter(grey, size=(0, DETAIL, DETAIL), mode="nearest")


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the difference of colours; 0 where it isn't known, because one is clipped and the other nearly so."""
    clipped = (np.maximum(one, other) >= FULL) & (np.minimum(one, other) >= NEARLY_FULL)
    return np.where(clipped, 0, one - other)


def _cell_differences(difference: np.ndarray) -> np.ndarray:
    """Return the difference of each of 8 × 8 cells, [pairs, 8, 8]: that of brightness, or half that of tint, which
    re-encoding changes more.
    """
    pairs, side = difference.shape[:2]
    cells = difference.reshape(pairs, 8, side // 8, 8, side // 8, 3).mean(axis=(2, 4))
    brightness = cells.mean(axis=3)
    tint = np.abs(cells - brightness[..., None]).max(axis=3)
    return np.maximum(np.abs(brightness), tint / 2)
