"""Recognizes what a picture of a toy world shows: shape, colour, background, and the world's style.

Nothing is learned. The background is the border's median colour; the object is what differs from it; its colour is the
nearest of the world's colours in CIELAB; its shape is the best of the world's outlines, compared by overlap after
position and area have been normalised; the style is how much darker one part of the object is than the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from . import drawing, world
from .shapes import SHAPES
from .styles import STYLES
from .world_file import TOY, World

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
_DARKER = 0.25
"""Least ``Reading.darker`` that counts as the style: what the base draws has at most 0.12."""
_PARTS_SHARE = 0.35
"""Least share of the brightness's variance inside the object that its two parts explain: stripes and blotches can make
one of them darker too.
"""
_GAP = 2.0
"""Pixels on either side of the line between bright and dark that belong to neither part: the autoencoder blurs it."""
_LEVEL = 10.0
"""Added to the brightness (0–442) of both parts: on dark objects small differences count less."""
_CANVAS = 40
"""Width of the normalised canvas on which outlines are compared; an object's area covers a quarter of it."""
_VERSIONS = ((17.0, 0.0), (17.0, 1.5), (14.5, 2.5))
"""Each outline is stored at these (radius, blur), in pixels: sharp, and as the autoencoder rounds it."""
_EDGE = (0.15, 0.7)
"""Shares of the fill's distance from the background between which a pixel changes from outside to inside."""
_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


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
    """Logarithm of how many times brighter one part of the object is than the part that the style darkens: 0 for a
    plain fill, about 0.8 for the style.
    """
    area: float
    """Share of the picture that the object covers."""


def cielab(rgb: NDArray[np.uint8] | Floats) -> Floats:
    """Convert sRGB (0–255, any leading shape) to CIELAB under D65 (IEC 61966-2-1, CIE 15)."""
    share = np.asarray(rgb, dtype=np.float32) / 255.0
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    xyz = linear @ _RGB_TO_XYZ.T / _WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def _nearest(lab: Floats, palette: Mapping[str, world.RGB], limit: float) -> tuple[str, float]:
    """Return name and CIELAB distance of the palette's nearest entry; unknown beyond ``limit``."""
    names = list(palette)
    distances = np.linalg.norm(cielab(np.array(list(palette.values()), dtype=np.float32)) - lab, axis=1)
    best = int(distances.argmin())
    distance = float(distances[best])
    return (names[best] if distance <= limit else UNKNOWN), distance


def border(picture: Floats) -> Floats:
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


@lru_cache(maxsize=8)
def _outlines(shapes: tuple[str, ...]) -> tuple[Floats, list[str]]:
    """Return every shape's normalised outline at every rotation: [n, _CANVAS²], and the shape of each row."""
    rows, names = [], []
    for shape in shapes:
        for angle in range(0, SHAPES[shape].symmetry, 6):
            rows += [_normalise(_blurred(_drawn(shape, r, angle), blur)).ravel() for r, blur in _VERSIONS]
            names += [shape] * len(_VERSIONS)
        for hole in SHAPES[shape].holes:
            rows.append(_normalise(_drawn("circle", 18.0) - _drawn("circle", 18.0 * hole)).ravel())
            names.append(shape)
    return np.stack(rows), names


def _read_shape(mask: Floats, shapes: tuple[str, ...]) -> tuple[str, float, float]:
    """Return shape, overlap and margin of a soft mask [64, 64]."""
    outlines, names = _outlines(shapes)
    mine = _normalise(mask).ravel()
    overlaps = np.minimum(outlines, mine).sum(axis=1) / np.maximum(outlines, mine).sum(axis=1)
    best: dict[str, float] = {}
    for name, overlap in zip(names, overlaps, strict=True):
        best[name] = max(best.get(name, 0.0), float(overlap))
    (shape, overlap), (_, second) = sorted(best.items(), key=lambda item: -item[1])[:2]
    clear = overlap >= _LEAST_OVERLAP or (overlap >= _LEAST_OVERLAP_ALONE and overlap - second >= _ALONE)
    return (shape if clear else UNKNOWN), overlap, overlap - second


def _border_of(style: str, mask: Mask) -> Floats:
    """Return each pixel's distance to the style's line through the object's middle: above 0 in the bright part."""
    down, right = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]].astype(np.float32)
    return STYLES[style](right - right[mask].mean(), down - down[mask].mean())


def _shaded(picture: Floats, inside: Mask, style: str) -> tuple[float, bool]:
    """Return the logarithm of the bright part's mean brightness over the dark part's, and whether it is the style."""
    border = _border_of(style, inside)
    bright, dark = inside & (border > _GAP), inside & (border < -_GAP)
    if min(bright.sum(), dark.sum()) < 10:
        return 0.0, False
    light = np.linalg.norm(picture, axis=2) + _LEVEL
    one, other = light[bright], light[dark]
    darker = float(np.log(one.mean() / other.mean()))
    within = float(((one - one.mean()) ** 2).sum() + ((other - other.mean()) ** 2).sum())
    whole = float(np.concatenate([one, other]).var() * (one.size + other.size))
    return darker, darker >= _DARKER and within <= (1 - _PARTS_SHARE) * whole


def _bright_median(picture: Floats, inside: Mask) -> Floats:
    """Return the median colour [3] of the brightest 30 % inside the object: its fill, in a style the bright part's."""
    pixels = picture[inside]
    light = np.linalg.norm(pixels, axis=1)
    return np.asarray(np.median(pixels[light >= np.quantile(light, 0.7)], axis=0), dtype=np.float32)


def _soft_mask(distance: Floats, main: Mask, fill_distance: float | Floats) -> Floats:
    """Return the object as shares, by distance from the background relative to the fill's distance."""
    near = ndimage.binary_dilation(main, iterations=2)
    return np.asarray(_edge(distance / fill_distance) * near, dtype=np.float32)


def _fill_distances(distance: Floats, inside: Mask, style: str) -> Floats:
    """Return the distance from the background to the fill of each pixel's part, [64, 64]: a dark part on black differs
    from it much less than the bright part does.
    """
    bright = _border_of(style, inside) > 0
    one, other = (float(np.median(distance[inside & part])) for part in (bright, ~bright))
    return np.where(bright, one, other).astype(np.float32)


def read(picture: world.Picture, of: World = TOY) -> Reading:
    """Recognize what one picture of a world shows (uint8 [64, 64, 3])."""
    values = picture.astype(np.float32)
    backdrop = np.median(border(values), axis=0).astype(np.float32)
    backdrop_lab = cielab(backdrop)
    background, background_distance = _nearest(backdrop_lab, of.backgrounds, _BACKGROUND_LIMIT)
    distance = np.linalg.norm(cielab(values) - backdrop_lab, axis=2).astype(np.float32)
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
    colour, colour_distance = _nearest(cielab(fill), of.colours, _COLOUR_LIMIT)
    darker, styled = _shaded(values, inside, of.style.name)
    fill_distance = (
        _fill_distances(distance, inside, of.style.name)
        if styled
        else float(np.linalg.norm(cielab(fill) - backdrop_lab))
    )
    soft = _soft_mask(distance, loose, fill_distance)
    if soft.sum() < 1.0:
        soft = loose.astype(np.float32)
    shape, overlap, margin = _read_shape(soft, of.all_shapes)
    if second > _SECOND_OBJECT or area > _LARGEST_AREA:
        shape = UNKNOWN
    return Reading(
        shape, colour, background, styled, overlap, margin, colour_distance, background_distance, darker, area
    )
