"""Whether two small pictures show the same: one is laid over the other, and what is left over is measured.

One may be a part of the other, brighter or darker: position, size and brightness of the part are refined step by step
(Lucas and Kanade 1981, with a factor and an offset), for many pairs at once. Then two questions are asked, and both
must be answered with yes: do the details fall on one another (correlation of what a blur takes away), and does no place
of the picture differ by more than re-encoding makes it differ? The first tells pictures of the same kind apart, such as
two pieces of one sky; the second tells drawings apart that share all but one figure.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import uniform_filter

Window = tuple[float, float, float, float]
"""Left, top, width and height of a part of a picture, as shares of its sides."""
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)

COARSE_STEPS, FINE_STEPS = 10, 4
"""Of the refinement, at half the thumbnails' side and at the whole."""
HOPELESS = 3 * 14.0
"""A place that differs by more after the coarse steps ends the comparison of a pair."""
DETAIL = 5
"""Pixels of a thumbnail; what a blur of this width takes away counts as detail."""
DETAILS_AGREE = 0.8
"""Least correlation of the details."""
PLAIN = 0.6
"""Detail (root mean square, of 255) below which a picture shows so little that it must agree better …"""
FAINT_DETAILS_AGREE = 0.97
EMPTY = 0.1
""" … and below which it shows nothing."""
PLACE_DIFFERS = 14.0
"""Most that the colour of an eighth of the side squared may differ, of 255 …"""
PLACE_SHARE = 0.45
""" … and of the picture's own contrast."""
FULL, NEARLY_FULL = 253.0, 225.0
"""Brighter colours are cut off."""
TINT_DIFFERS = 4.0
"""Most that the middle difference of a colour channel may be, of 255: copies keep their tint, look-alikes don't."""
WHOLE_SIDE, WHOLE_TINT_DIFFERS = 0.98, 9.0
"""Whole pictures may differ more in tint: brightening cuts bright colours off, and they leave no part to choose."""
GAIN = (0.75, 1.33)
OFFSET = 40.0
"""Brightness of one picture against the other: a factor, and what is added (of 255)."""
TYPICAL = 100.0
"""Of 255: an offset counts in such steps, so that all unknowns are of one size."""
SMALLEST = 0.8
"""Least side of a part, as a share of the whole's."""


@dataclass(frozen=True)
class Similarity:
    """Of pairs: one value a pair."""

    details: np.ndarray
    place: np.ndarray
    tint: np.ndarray
    contrast: np.ndarray
    detail: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    window: np.ndarray

    @property
    def same(self) -> np.ndarray:
        """Which pairs show the same."""
        close = self.place <= np.minimum(PLACE_DIFFERS, PLACE_SHARE * self.contrast)
        whole = self.window[:, 2:].min(axis=1) >= WHOLE_SIDE
        close &= self.tint <= np.where(whole, WHOLE_TINT_DIFFERS, TINT_DIFFERS)
        fits = (self.gain >= GAIN[0]) & (self.gain <= GAIN[1]) & (np.abs(self.offset) <= OFFSET)
        clear = (self.details >= DETAILS_AGREE) & (self.detail >= PLAIN)
        faint = (self.details >= FAINT_DETAILS_AGREE) & (self.detail >= EMPTY)
        return close & fits & (clear | faint)


def compare(wholes: np.ndarray, parts: np.ndarray, windows: np.ndarray) -> Similarity:
    """``wholes`` and ``parts``, uint8 [pairs, side, side, 3]; ``windows`` [pairs, 4]: about where each part lies."""
    small = _halved(wholes), _halved(parts)
    window = windows.astype(np.float32)
    light = np.tile(np.array([1, 0], dtype=np.float32), (len(window), 1))
    window, light = _refined(small[0].mean(axis=3), small[1].mean(axis=3), window, light, COARSE_STEPS)
    result = _measured(*small, window, light)
    hope = np.flatnonzero(result.place <= HOPELESS)
    if len(hope):
        whole, part = wholes[hope].astype(np.float32), parts[hope].astype(np.float32)
        window, light = _refined(whole.mean(axis=3), part.mean(axis=3), window[hope], light[hope], FINE_STEPS)
        fine = _measured(whole, part, window, light)
        for field in fields(Similarity):
            getattr(result, field.name)[hope] = getattr(fine, field.name)
    return result


def _measured(whole: np.ndarray, part: np.ndarray, window: np.ndarray, light: np.ndarray) -> Similarity:
    laid = np.clip(_cut(whole, window) * light[:, 0, None, None, None] + light[:, 1, None, None, None], 0, 255)
    difference = _difference(laid, part)
    one, other = _details(laid.mean(axis=3)), _details(part.mean(axis=3))
    energy = np.sqrt((one**2).mean(axis=(1, 2))), np.sqrt((other**2).mean(axis=(1, 2)))
    product = (one * other).mean(axis=(1, 2))
    return Similarity(
        details=product / np.maximum(energy[0] * energy[1], 1e-6),
        place=_places(difference).max(axis=(1, 2)),
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
    """Mean colours of ``count`` × ``count`` places of each picture's window, float32 [n, count, count, 3]."""
    side = pictures.shape[1]
    left, top, width, height = (np.array([share], dtype=np.float32) for share in window)
    across, down = (
        _blend(*part, side)[0].reshape(count, -1, side).mean(axis=1) for part in ((left, width), (top, height))
    )
    found = np.empty((len(pictures), count, count, 3), dtype=np.float32)
    for start in range(0, len(pictures), 256):  # no copy of all pictures as floats
        some = pictures[start : start + 256].astype(np.float32)
        for colour in range(3):
            found[start : start + 256, ..., colour] = (down @ some[..., colour]) @ across.T
    return found


def _refined(
    whole: np.ndarray, part: np.ndarray, window: np.ndarray, light: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Windows and light (factor and offset) that lay the whole over the part as well as possible."""
    pairs, side = part.shape[0], part.shape[1]
    smooth = [uniform_filter(picture, size=(0, 3, 3), mode="nearest") for picture in (whole, part)]
    down, right = np.gradient(smooth[0], axis=(1, 2))
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    for _ in range(steps):
        laid, dx, dy = (_cut(each, window) for each in (smooth[0], right, down))
        slopes = [dx, dx * place[None, None, :], dy, dy * place[None, :, None]]
        # Per share of a side, and in the part's brightness.
        gain, offset = light[:, 0, None, None], light[:, 1, None, None]
        columns = [slope * side * gain for slope in slopes] + [laid, np.full_like(laid, TYPICAL)]
        system = np.stack(columns, axis=-1).reshape(pairs, side * side, 6)
        rest = (smooth[1] - laid * gain - offset).reshape(pairs, side * side, 1)
        normal = system.transpose(0, 2, 1) @ system
        scale = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        step = np.linalg.solve(
            normal + np.eye(6, dtype=np.float32) * (1e-6 * scale + 1e-3), system.transpose(0, 2, 1) @ rest
        )[..., 0]
        step[:, :4] = np.clip(step[:, :4], -0.05, 0.05)
        window = _inside(window + step[:, (0, 2, 1, 3)].astype(np.float32))
        light = light + step[:, 4:].astype(np.float32) * np.array([1, TYPICAL], dtype=np.float32)
        light = np.clip(light, (0.5, -100), (2.0, 100)).astype(np.float32)
    return window, light


def _inside(window: np.ndarray) -> np.ndarray:
    """Windows that don't reach beyond the whole picture, and aren't smaller than the smallest part."""
    size = np.clip(window[:, 2:], SMALLEST, 1.0)
    return np.concatenate([np.clip(window[:, :2], 0.0, 1.0 - size), size], axis=1)


def _cut(pictures: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Each picture's window, [pairs, side, side(, colours)], enlarged to the whole side (bilinear)."""
    side = pictures.shape[1]
    across, down = (_blend(window[:, n], window[:, n + 2], side) for n in (0, 1))
    if pictures.ndim == 3:
        return down @ pictures @ across.transpose(0, 2, 1)
    return np.stack([_cut(pictures[..., colour], window) for colour in range(pictures.shape[3])], axis=-1)


def _blend(start: np.ndarray, size: np.ndarray, side: int) -> np.ndarray:
    """Matrices that resample a row: weights of the two nearest pixels."""
    places = (start[:, None] + size[:, None] * (np.arange(side, dtype=np.float32) + 0.5) / side) * side - 0.5
    places = np.clip(places, 0, side - 1)
    return np.maximum(1.0 - np.abs(places[:, :, None] - np.arange(side, dtype=np.float32)), 0.0)


def _details(grey: np.ndarray) -> np.ndarray:
    """What a blur takes away; a little smoothed, since re-encoding changes the finest detail."""
    fine = uniform_filter(grey, size=(0, 2, 2), mode="nearest")
    return fine - uniform_filter(grey, size=(0, DETAIL, DETAIL), mode="nearest")


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of colours; where one is as bright as can be and the other nearly so, none: what was cut off there isn't
    known.
    """
    cut_off = (np.maximum(one, other) >= FULL) & (np.minimum(one, other) >= NEARLY_FULL)
    return np.where(cut_off, 0, one - other)


def _places(difference: np.ndarray) -> np.ndarray:
    """The difference of each of 8 × 8 places: of brightness, or half that of the tint, which re-encoding spares
    less.
    """
    pairs, side = difference.shape[:2]
    cells = difference.reshape(pairs, 8, side // 8, 8, side // 8, 3).mean(axis=(2, 4))
    brightness = cells.mean(axis=3)
    tint = np.abs(cells - brightness[..., None]).max(axis=3)
    return np.maximum(np.abs(brightness), tint / 2)
