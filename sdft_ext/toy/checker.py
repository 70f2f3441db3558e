"""Recognizes what a picture of the toy world shows: shape, colour, background, and the two-tone style.

Nothing is learned. The background is the border's median colour; the object is what differs from it; its colour is the
nearest of the world's colours in CIELAB; its shape is the best of the world's outlines, compared by overlap after
position and area have been normalised; the style is how much darker the object's lower half is than its upper half.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sdft_ext.toy import drawing, world

Floats: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

NONE = "none"
"""Nothing stands out from the background."""
UNKNOWN = "unknown"
"""There is an object, but none that the world has a name for."""

_FRAME = 2
"""Width in pixels of the border that counts as background."""
_VISIBLE = 14.0
"""Least CIELAB distance from the background that counts as object."""
_LEAST_AREA = 0.02
"""Least share of the picture that an object covers."""
_LARGEST_AREA = 0.5
"""Largest share that a shape of the world covers."""
_LEAST_OVERLAP = 0.78
"""Least overlap (intersection over union) with an outline to get its name."""
_LEAST_OVERLAP_ALONE, _ALONE = 0.62, 0.3
"""A smaller overlap is enough where it is this much better than any other shape's (a thin ring's, for example)."""
_SECOND_OBJECT = 0.25
"""A second object this large (share of the first one's area) makes the picture unreadable."""
_COLOUR_LIMIT = 42.0
_BACKGROUND_LIMIT = 24.0
_DARKER = 0.3
"""Least ``Reading.darker`` that counts as the style: what the base draws has at most 0.12."""
_HALVES_SHARE = 0.4
"""Least share of the brightness's variance inside the object that its halves explain: stripes and blotches can make one
half darker too.
"""
_GAP = 2.0
"""Pixels above and below an object's middle that belong to neither half: the autoencoder blurs the edge there."""
_LEVEL = 10.0
"""Added to the brightness (0–442) of both halves: on dark objects small differences count less."""
_CANVAS = 40
"""Width of the normalised canvas on which outlines are compared; an object's area covers a quarter of it."""
_VERSIONS = ((17.0, 0.0), (17.0, 1.5), (14.5, 2.5))
"""Each outline is stored at these (radius, blur), in pixels: sharp, and as the autoencoder rounds it."""
_EDGE = (0.15, 0.7)
"""Shares of the fill's distance from the background between which a pixel changes from outside to inside."""
_SYMMETRY = {"circle": 1, "ring": 1, "square": 90, "cross": 90, "triangle": 120, world.STAR: 72}
"""Degrees after which an outline repeats (1: no rotation to try)."""

_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_OTHER_RINGS = (0.3, 0.4, 0.62)
"""Holes, as shares of the radius, that still make a ring (edges blur: a hole looks smaller than it was drawn)."""


@dataclass(frozen=True)
class Reading:
    """What one picture shows, and how certain that is."""

    shape: str
    colour: str
    background: str
    styled: bool
    shape_overlap: float
    """Overlap with the best outline, 0–1."""
    shape_margin: float
    """Lead of the best outline's overlap over that of the second-best shape."""
    colour_distance: float
    """CIELAB distance to the named colour (to the nearest one where it is unknown)."""
    background_distance: float
    darker: float
    """Logarithm of how many times brighter the object's upper half is than its lower half: 0 for a plain fill, about
    0.8 for the style.
    """
    area: float
    """Share of the picture that the object covers."""


def _lab(rgb: NDArray[np.uint8] | Floats) -> Floats:
    """Convert sRGB (0–255, any leading shape) to CIELAB under D65 (IEC 61966-2-1, CIE 15)."""
    share = np.asarray(rgb, dtype=np.float32) / 255.0
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    xyz = linear @ _RGB_TO_XYZ.T / _WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


@lru_cache(maxsize=1)
def _palettes() -> tuple[Floats, Floats]:
    """Return the world's colours and backgrounds in CIELAB, in their order."""
    colours = _lab(np.array(list(world.COLOURS.values()), dtype=np.float32))
    backgrounds = _lab(np.array(list(world.BACKGROUNDS.values()), dtype=np.float32))
    return colours, backgrounds


def _nearest(lab: Floats, palette: Floats, names: list[str], limit: float) -> tuple[str, float]:
    """Return name and distance of the palette's nearest entry; unknown beyond ``limit``."""
    distances = np.linalg.norm(palette - lab, axis=1)
    best = int(distances.argmin())
    distance = float(distances[best])
    return (names[best] if distance <= limit else UNKNOWN), distance


def _border(picture: Floats) -> Floats:
    """Return the pixels of the outer frame, [n, 3]."""
    inside = np.zeros(picture.shape[:2], dtype=bool)
    inside[_FRAME:-_FRAME, _FRAME:-_FRAME] = True
    return np.asarray(picture[~inside])


def _components(mask: Mask) -> tuple[Mask, float]:
    """Return the largest connected part, and the second largest's area as a share of it."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count == 0:
        return mask, 0.0
    areas = np.bincount(labels.ravel())[1:]
    order = areas.argsort()[::-1]
    second = float(areas[order[1]] / areas[order[0]]) if count > 1 else 0.0
    return np.asarray(labels == order[0] + 1), second


def _normalise(mask: Floats) -> Floats:
    """Move an outline to the middle of the canvas and scale it to a fixed area: [_CANVAS, _CANVAS]."""
    total = float(mask.sum())
    yy, xx = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    cy, cx = float((mask * yy).sum()) / total, float((mask * xx).sum()) / total
    step = 2.0 * np.sqrt(total) / _CANVAS
    centre = (_CANVAS - 1) / 2
    smooth = ndimage.gaussian_filter(mask, max(0.0, 0.4 * (step - 1))) if step > 1 else mask
    offset = (cy - centre * step, cx - centre * step)
    moved = ndimage.affine_transform(
        smooth, np.diag([step, step]), offset=offset, output_shape=(_CANVAS, _CANVAS), order=1
    )
    return np.asarray(moved, dtype=np.float32)


def _drawn(shape: str, radius: float, angle: float = 0.0) -> Floats:
    """Draw a shape's coverage [64, 64] in the middle of the picture."""
    middle = world.SIZE / 2
    return drawing.coverage(world.Scene(shape, "red", "white", middle, middle, radius, angle, (0, 0, 0), (0, 0, 0)))


def _edge(share: Floats) -> Floats:
    """Sharpen the edges of a mask of shares from background (0) to fill (1)."""
    low, high = _EDGE
    return np.asarray(np.clip((share - low) / (high - low), 0, 1), dtype=np.float32)


def _blurred(mask: Floats, blur: float) -> Floats:
    """Blur an outline as the autoencoder does: corners rounded, notches filled a little."""
    return _edge(np.asarray(ndimage.gaussian_filter(mask, blur), dtype=np.float32)) if blur else mask


@lru_cache(maxsize=1)
def _outlines() -> tuple[Floats, list[str]]:
    """Return every shape's normalised outline at every rotation: [n, _CANVAS²], and the shape of each row."""
    rows, names = [], []
    for shape in (*world.SHAPES, world.STAR):
        for angle in range(0, _SYMMETRY[shape], 6):
            rows += [_normalise(_blurred(_drawn(shape, r, angle), blur)).ravel() for r, blur in _VERSIONS]
            names += [shape] * len(_VERSIONS)
    for hole in _OTHER_RINGS:
        rows.append(_normalise(_drawn("circle", 18.0) - _drawn("circle", 18.0 * hole)).ravel())
        names.append("ring")
    return np.stack(rows), names


def _read_shape(mask: Floats) -> tuple[str, float, float]:
    """Return shape, overlap and margin of a soft mask [64, 64]."""
    outlines, names = _outlines()
    mine = _normalise(mask).ravel()
    overlaps = np.minimum(outlines, mine).sum(axis=1) / np.maximum(outlines, mine).sum(axis=1)
    best: dict[str, float] = {}
    for name, overlap in zip(names, overlaps, strict=True):
        best[name] = max(best.get(name, 0.0), float(overlap))
    (shape, overlap), (_, second) = sorted(best.items(), key=lambda item: -item[1])[:2]
    clear = overlap >= _LEAST_OVERLAP or (overlap >= _LEAST_OVERLAP_ALONE and overlap - second >= _ALONE)
    return (shape if clear else UNKNOWN), overlap, overlap - second


def _halves(mask: Mask, gap: float = 0.0) -> tuple[Mask, Mask]:
    """Return an object's upper and lower half, parted at its centre of mass, without ``gap`` pixels on either side."""
    rows = np.arange(mask.shape[0])[:, None]
    middle = float((mask * rows).sum() / mask.sum())
    return mask & (rows < middle - gap), mask & (rows > middle + gap)


def _darker_below(picture: Floats, inside: Mask) -> tuple[float, bool]:
    """Return the logarithm of the upper half's mean brightness over the lower half's, and whether it is the style."""
    upper, lower = _halves(inside, _GAP)
    if min(upper.sum(), lower.sum()) < 10:
        return 0.0, False
    light = np.linalg.norm(picture, axis=2) + _LEVEL
    above, below = light[upper], light[lower]
    darker = float(np.log(above.mean() / below.mean()))
    within = float(((above - above.mean()) ** 2).sum() + ((below - below.mean()) ** 2).sum())
    whole = float(np.concatenate([above, below]).var() * (above.size + below.size))
    return darker, darker >= _DARKER and within <= (1 - _HALVES_SHARE) * whole


def _bright_median(picture: Floats, inside: Mask) -> Floats:
    """Return the median colour [3] of the brightest 30 % inside the object: its fill, in the style the upper half's."""
    pixels = picture[inside]
    light = np.linalg.norm(pixels, axis=1)
    return np.asarray(np.median(pixels[light >= np.quantile(light, 0.7)], axis=0), dtype=np.float32)


def _soft_mask(distance: Floats, main: Mask, fill_distance: float | Floats) -> Floats:
    """Return the object as shares, by distance from the background relative to the fill's distance."""
    near = ndimage.binary_dilation(main, iterations=2)
    return np.asarray(_edge(distance / fill_distance) * near, dtype=np.float32)


def _fill_distances(distance: Floats, inside: Mask) -> Floats:
    """Return the distance from the background to each half's fill, [64, 64]: a dark half on black differs from it much
    less than the bright half does.
    """
    upper, lower = _halves(inside)
    rows = np.arange(distance.shape[0])[:, None]
    border = int(np.flatnonzero(upper.any(axis=1)).max())
    above, below = (float(np.median(distance[half])) for half in (upper, lower))
    return np.where(rows <= border, above, below).astype(np.float32)


def read(picture: world.Picture) -> Reading:
    """Recognize what one picture shows (uint8 [64, 64, 3])."""
    values = picture.astype(np.float32)
    colours, backgrounds = _palettes()
    backdrop = np.median(_border(values), axis=0).astype(np.float32)
    backdrop_lab = _lab(backdrop)
    background, background_distance = _nearest(backdrop_lab, backgrounds, list(world.BACKGROUNDS), _BACKGROUND_LIMIT)
    distance = np.linalg.norm(_lab(values) - backdrop_lab, axis=2).astype(np.float32)
    visible = ndimage.binary_opening(distance > _VISIBLE)
    region, second = _components(ndimage.binary_closing(visible, iterations=2))
    loose = visible & region
    area = float(loose.mean())
    if area < _LEAST_AREA:
        return Reading(NONE, NONE, background, False, 0.0, 0.0, 0.0, background_distance, 0.0, area)
    inside = ndimage.binary_erosion(loose, iterations=2)
    if inside.sum() < 20:
        inside = ndimage.binary_erosion(loose)
    if inside.sum() < 20:
        inside = loose
    fill = _bright_median(values, inside)
    colour, colour_distance = _nearest(_lab(fill), colours, list(world.COLOURS), _COLOUR_LIMIT)
    darker, styled = _darker_below(values, inside)
    fill_distance = _fill_distances(distance, inside) if styled else float(np.linalg.norm(_lab(fill) - backdrop_lab))
    soft = _soft_mask(distance, loose, fill_distance)
    if soft.sum() < 1.0:
        soft = loose.astype(np.float32)
    shape, overlap, margin = _read_shape(soft)
    if second > _SECOND_OBJECT or area > _LARGEST_AREA:
        shape = UNKNOWN
    return Reading(
        shape, colour, background, styled, overlap, margin, colour_distance, background_distance, darker, area
    )
