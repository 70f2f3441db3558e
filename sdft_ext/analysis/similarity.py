"""Decide whether two thumbnails show the same picture: align one with the other, and measure what still differs.

One may be a part of the other, slightly turned, brighter or darker, with more or less contrast or colour. Position,
size and angle are refined step by step (Lucas and Kanade 1981, with an affine map, a gain and an offset; weights that
fall with the difference, so that an added logo doesn't pull), for many pairs at once. Then brightness and colours are
fitted, and the picture is judged in 8 × 8 cells: in a copy, what is left in each cell is small against the contrast
there. A subject that has moved leaves a large difference in a few cells; so a copy may differ in a few cells only where
a logo or a date would be: at a corner or along the upper or lower edge.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from . import backgrounds
from .alignment import align, first_light, halved, maps_of
from .colour_fit import fit_colours, more_colourful_first, without_clipped
from .resampling import LUMINANCE, warp

COARSE_STEPS, FINE_STEPS = (4, 6), 4
"""Steps of the alignment, at half the thumbnails' side in two rounds, and at the full side."""
CELLS = 8
FAINT = 5.0
"""Differences are judged against the contrast nearby, plus this much (of 255)."""
HOPELESS = 0.6
"""Pairs that differ by more than this in a quarter of the cells after a round of coarse steps are given up."""
MAX_DIFFERENCE = 0.375
"""Largest difference of a cell of a copy, as a share of the contrast nearby."""
MAX_ENLARGED_DIFFERENCE = 0.65
"""The same where the part takes less than ENLARGED of the whole's side, whose thumbnail has too few pixels there."""
ENLARGED = 0.9
MAX_LOGO_DIFFERENCE = 0.26
"""Largest difference of the cells around a logo."""
MIN_CORRELATION = 0.6
"""Least correlation of the details, which a blur removes."""
DETAIL = 7
"""Width of that blur, in pixels of a thumbnail."""
MIN_CONTRAST = 2.0
"""Pictures with less contrast (standard deviation of the brightness, of 255) show nothing that could be compared."""
MAX_TINT = 20.0
"""Largest difference of a colour in a cell, apart from brightness, of 255."""
GAIN, SATURATION = (0.45, 2.2), (-0.08, 1.8)
"""Limits of brightness and of colourfulness relative to the whole's."""
MAX_TURN, MAX_SLANT = 0.06, 0.15
"""Largest angle between the two, in radians, and largest slant of rows or columns where they are turned."""
MIN_SIDE = 0.4
"""Least side of a part, as a share of the whole's."""
MARGIN = 2
"""Pixels along the edges that aren't compared …"""
TURNED = 0.02
""" … twice as many where one is turned by more than half of this, in radians."""
COVERED = 0.5
"""Least share of each of the part's cells that the whole shows too."""
WHOLE_SHIFT = 0.025
"""Windows nearer than this to the whole picture, as a share of its sides, are the whole picture."""
PLAIN = 12.0
"""Areas in which neighbouring pixels differ by at most this much are plain."""
PLAIN_PIXELS = 12
"""Least number of a thumbnail's pixels in such an area."""
SAME_COLOUR = 3.0
"""Largest difference of their colours between figures on plain grounds where they are in other places."""


@dataclass(frozen=True)
class Similarity:
    """How similar pairs are, one value for each pair, or 8 × 8, one for each cell.

    ``differences``: as shares of the contrast nearby [pairs, 8, 8]; ``tints``: of colour, apart from brightness
    [pairs, 8, 8]; ``products``: of the details [pairs, 3, 8, 8], from which their correlation follows; ``recoloured``:
    the largest difference of plain areas before brightness and colours were fitted; ``contrast``: of the picture that
    has less; ``gain``, ``saturation``: fitted; ``maps`` [pairs, 2, 3]: from the part's coordinates to the whole's;
    ``plain``: whether both have a plain ground.
    """

    differences: np.ndarray
    tints: np.ndarray
    products: np.ndarray
    recoloured: np.ndarray
    contrast: np.ndarray
    gain: np.ndarray
    saturation: np.ndarray
    maps: np.ndarray
    plain: np.ndarray

    @property
    def sides(self) -> np.ndarray:
        """Return width and height of the part as shares of the whole's, [pairs, 2]."""
        return np.linalg.norm(self.maps[:, :, :2], axis=1)

    @property
    def moved(self) -> np.ndarray:
        """Return which parts aren't the whole picture, bool [pairs]."""
        corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], dtype=np.float32)
        shift = corners @ self.maps.transpose(0, 2, 1) - corners[:, :2]
        moved: np.ndarray = np.abs(shift).max(axis=(1, 2)) > WHOLE_SHIFT
        return moved

    def same(self, mirrored: np.ndarray, turned: np.ndarray) -> np.ndarray:
        """Return which pairs show the same picture, bool [pairs]. ``mirrored``, ``turned``: whether the part was
        mirrored, or turned by quarters.

        A figure on a plain ground that is mirrored or in another place is a copy only in the same colours, and never
        both turned and in another place: in a series of drawings, such figures are alike.
        """
        enlarged = (self.sides.min(axis=1) < ENLARGED)[:, None, None]
        most = np.where(enlarged, MAX_ENLARGED_DIFFERENCE, MAX_DIFFERENCE)
        other = (self.differences > most) | (self.tints > MAX_TINT)
        logo = (self.differences > MAX_LOGO_DIFFERENCE) | (self.tints > MAX_TINT)
        as_by_logo = ~(mirrored | turned | self.moved) & _like_a_logo(logo)
        close = ~other.any(axis=(1, 2)) | as_by_logo
        close &= self.correlation(np.where(as_by_logo[:, None, None], ~logo, True)) >= MIN_CORRELATION
        close &= (self.contrast >= MIN_CONTRAST) & self._upright()
        close &= (self.gain >= GAIN[0]) & (self.gain <= GAIN[1])
        close &= (self.saturation >= SATURATION[0]) & (self.saturation <= SATURATION[1])
        elsewhere = self.plain & (mirrored | turned | self.moved)
        alike = (self.recoloured > SAME_COLOUR) | (turned & self.moved)
        same: np.ndarray = close & ~(elsewhere & alike)
        return same

    def correlation(self, cells: np.ndarray) -> np.ndarray:
        """Return the correlation of the details in some cells, bool [pairs, 8, 8]."""
        one, other, both = (self.products * cells[:, None]).sum(axis=(2, 3)).T
        correlation: np.ndarray = both / np.maximum(np.sqrt(one * other), 1e-6)
        return correlation

    def _upright(self) -> np.ndarray:
        """Return which parts are turned by little. In a wide picture's square thumbnail, turning slants the rows by
        less than it slants the columns.
        """
        sides = np.maximum(self.sides, 1e-3)
        down, across = self.maps[:, 1, 0] / sides[:, 0], self.maps[:, 0, 1] / sides[:, 1]
        most = np.maximum(np.abs(down), np.abs(across))
        turned = (down * across < 0) & (np.sqrt(np.abs(down * across)) <= MAX_TURN) & (most <= MAX_SLANT)
        upright: np.ndarray = ((most <= MAX_TURN) | turned) & (self.sides.min(axis=1) >= MIN_SIDE)
        return upright


def _like_a_logo(other: np.ndarray) -> np.ndarray:
    """Return in which pairs the cells that differ, bool [pairs, 8, 8], are few and all at one corner or along the upper
    or lower edge.
    """
    places = np.zeros((10, CELLS, CELLS), dtype=bool)
    for number, (down, across) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
        turned = places[2 * number : 2 * number + 2, ::down, ::across]
        turned[0, :2, :3] = turned[1, :3, :2] = True
    places[8, :1] = places[9, -1:] = True
    inside = ~(other[:, None] & ~places).any(axis=(2, 3))
    result: np.ndarray = inside.any(axis=1)
    return result


def compare(wholes: np.ndarray, parts: np.ndarray, windows: np.ndarray) -> Similarity:
    """Compare pairs. ``wholes`` and ``parts``: uint8 [pairs, side, side, 3]; ``windows`` [pairs, 4]: roughly where each
    part lies in its whole.

    Pairs without hope after the coarse steps are measured no further: their differences are infinite.
    """
    whole, part = wholes.astype(np.float32), parts.astype(np.float32)
    grey = whole @ LUMINANCE, part @ LUMINANCE
    start = maps_of(windows)
    small = halved(grey[0]), halved(grey[1])
    first = first_light(*small)
    rough = _rough(*small, start, first)
    maps, light = start, first
    going = np.arange(len(start))
    for steps in COARSE_STEPS:
        some = small[0][going], small[1][going]
        moved = align(*some, maps[going], light[going], steps)
        maps, light = maps.copy(), light.copy()
        maps[going], light[going] = moved
        rough[going] = np.minimum(rough[going], _rough(*some, *moved))
        going = going[rough[going] <= HOPELESS]
        if not len(going):
            break
    result = _nothing(len(start))
    if not len(going):
        return result
    maps, _ = align(grey[0][going], grey[1][going], maps[going], light[going], FINE_STEPS)
    _put(result, going, _measure(whole[going], part[going], maps), np.arange(len(going)))
    # Clipped brightness leads the alignment of whole pictures astray: then they are measured as they are.
    unsure = going[
        (result.differences[going].max(axis=(1, 2)) > MAX_LOGO_DIFFERENCE) & (windows[going, 2:].min(1) >= 1)
    ]
    if len(unsure):
        straight = _measure(whole[unsure], part[unsure], start[unsure])
        better = _quarter(straight.differences) < _quarter(result.differences[unsure])
        _put(result, unsure[better], straight, better)
    return result


def _nothing(pairs: int) -> Similarity:
    """Return values that no copy has."""
    cells = (pairs, CELLS, CELLS)
    return Similarity(
        differences=np.full(cells, np.inf, np.float32),
        tints=np.zeros(cells, np.float32),
        products=np.zeros((pairs, 3, CELLS, CELLS), np.float32),
        recoloured=np.zeros(pairs, np.float32),
        contrast=np.zeros(pairs, np.float32),
        gain=np.zeros(pairs, np.float32),
        saturation=np.zeros(pairs, np.float32),
        maps=np.zeros((pairs, 2, 3), np.float32),
        plain=np.zeros(pairs, dtype=bool),
    )


def _put(result: Similarity, rows: np.ndarray, found: Similarity, chosen: np.ndarray) -> None:
    for field in fields(Similarity):
        getattr(result, field.name)[rows] = getattr(found, field.name)[chosen]


def _rough(whole: np.ndarray, part: np.ndarray, maps: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return the difference in brightness that three quarters of the cells stay below, as a share of the contrast."""
    mapped, inside = warp(whole, maps)
    left = (part - np.clip(mapped * light[:, 0, None, None] + light[:, 1, None, None], 0, 255)) * inside
    left = uniform_filter(left, size=(0, 2, 2), mode="nearest")
    mean, square = _cells(part, 4), _cells(part**2, 4)
    contrast = np.sqrt(np.maximum(square - mean**2, 0)).repeat(2, axis=1).repeat(2, axis=2)
    return _quarter(np.sqrt(_cells(left**2)) / (FAINT + contrast))


def _quarter(differences: np.ndarray) -> np.ndarray:
    """Return the difference that three quarters of the cells stay below."""
    quarter: np.ndarray = np.partition(differences.reshape(len(differences), -1), 47, axis=1)[:, 47]
    return quarter


def _measure(whole: np.ndarray, part: np.ndarray, maps: np.ndarray) -> Similarity:
    mapped, inside = warp(whole, maps)
    area = np.sqrt(np.abs(np.linalg.det(maps[:, :, :2])))
    part = _box(part, 1 / np.clip(area, 1 / 3, 1))
    valid = inside & _within(part.shape[1], np.abs(maps[:, 0, 1] - maps[:, 1, 0]) > TURNED * area)
    share = np.maximum(_cells(valid), 0.02)
    source, target = more_colourful_first(mapped, part)
    fit, fitted = fit_colours(source, target, valid)
    left = _smooth(without_clipped(target - fitted, source, target, fit[:, 0])) * valid[..., None]
    bright = left @ LUMINANCE
    greys = fitted @ LUMINANCE, target @ LUMINANCE
    plain = backgrounds.plain(mapped)[1] & backgrounds.plain(part)[1]
    nearby = np.sqrt(_cells(np.minimum(*(_variance(grey) for grey in greys))))
    differences = np.sqrt(_cells(bright**2) / share) / (FAINT + nearby)
    differences[_cells(inside) < COVERED] = np.inf
    return Similarity(
        differences=differences,
        tints=np.abs(_cells(left - bright[..., None]) / share[..., None]).max(axis=3),
        products=_products(*greys, valid),
        recoloured=_recoloured(mapped, part, valid, plain),
        contrast=np.minimum(*(grey.std(axis=(1, 2)) for grey in greys)),
        gain=fit[:, 0],
        saturation=fit[:, 1] / np.maximum(fit[:, 0], 1e-3),
        maps=maps,
        plain=plain,
    )


def _recoloured(mapped: np.ndarray, part: np.ndarray, valid: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Return, for pairs on a plain ground, by how much the ground's or the figure's plain areas differ in colour."""
    result = np.zeros(len(part), dtype=np.float32)
    for pair in np.flatnonzero(plain).tolist():
        one, other = mapped[pair], part[pair]
        ranges = [maximum_filter(each, (3, 3, 0)) - minimum_filter(each, (3, 3, 0)) for each in (one, other)]
        even = valid[pair] & (np.maximum(*ranges).max(axis=2) <= PLAIN)
        around = np.median(one[backgrounds.ring(len(one))], axis=0)
        ground = np.abs(one - around).max(axis=2) <= backgrounds.TOLERANCE
        for area in (even & ground, even & ~ground):
            if area.sum() >= PLAIN_PIXELS:
                difference = np.abs(np.median((other - one)[area], axis=0)).max()
                result[pair] = max(result[pair], float(difference))
    return result


def _within(side: int, turned: np.ndarray) -> np.ndarray:
    """Return the pixels that are compared, without a margin; a larger one where turning left empty corners."""
    margins = np.zeros((2, side, side), dtype=bool)
    margins[0, MARGIN:-MARGIN, MARGIN:-MARGIN] = margins[1, 2 * MARGIN : -2 * MARGIN, 2 * MARGIN : -2 * MARGIN] = True
    within: np.ndarray = margins[turned.astype(np.int64)]
    return within


def _smooth(pictures: np.ndarray) -> np.ndarray:
    """Smooth slightly, because re-encoding changes the finest detail."""
    width = (0, 3, 3, 0)[: pictures.ndim]
    smooth: np.ndarray = uniform_filter(pictures, size=width, mode="nearest")
    return smooth


def _box(pictures: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Blur each picture with a box of a width from 1 to 3 pixels, as enlarging a thumbnail does."""
    edge = np.clip((width - 1) / 2, 0, 1).astype(np.float32)[:, None, None, None]
    if not edge.any():
        return pictures
    for axis in (1, 2):
        first, last = pictures.take([0], axis), pictures.take([-1], axis)
        before = np.concatenate([first, np.delete(pictures, -1, axis)], axis)
        after = np.concatenate([np.delete(pictures, 0, axis), last], axis)
        pictures = (pictures + edge * (before + after)) / (1 + 2 * edge)
    return pictures


def _variance(grey: np.ndarray) -> np.ndarray:
    """Return the variance of the brightness around each pixel, within about a fifth of the side."""
    smooth = _smooth(grey)
    mean, square = (uniform_filter(each, size=(0, 13, 13), mode="nearest") for each in (smooth, smooth**2))
    variance: np.ndarray = np.maximum(square - mean**2, 0)
    return variance


def _products(one: np.ndarray, other: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return, for each cell, the means of a², b² and a × b of what a blur removes: [pairs, 3, 8, 8]."""
    smooth = _smooth(one), _smooth(other)
    a, b = ((grey - uniform_filter(grey, size=(0, DETAIL, DETAIL), mode="nearest")) * valid for grey in smooth)
    return np.stack([_cells(a * a), _cells(b * b), _cells(a * b)], axis=1)


def _cells(values: np.ndarray, count: int = CELLS) -> np.ndarray:
    """Return the means of ``count`` × ``count`` cells."""
    pairs, side = values.shape[:2]
    shape = (pairs, count, side // count, count, side // count, *values.shape[3:])
    cells: np.ndarray = values.reshape(shape).mean(axis=(2, 4), dtype=np.float32)
    return cells
