"""Draws scenes of the toy world: shapes four times larger than the picture, averaged down, so that edges are
anti-aliased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from .world import EXTENT, HATCH, RGB, SIZE, STAR, TWO_TONE, Floats, Picture, Scene

Point: TypeAlias = tuple[float, float]

SUPERSAMPLE = 4
"""A picture is drawn this many times larger and averaged down."""
_CROSS_HALF_WIDTH = 0.36
_RING_HOLE = 0.52
_STAR_INNER = 0.52
_STRIPE_PERIOD = 20.0
_STRIPE_ANGLE = 45.0
_DARK_SHADE = 0.4
"""Brightness of a style's dark parts, as a share of the fill's."""


def polygon(points: int, radius: float, x: float, y: float, angle: float, inner: float | None = None) -> list[Point]:
    """Return the corners of a regular polygon, or of a star where ``inner`` (radius of the notches) is given; the first
    corner points up.
    """
    count = points if inner is None else 2 * points
    radii = [radius if inner is None or i % 2 == 0 else inner for i in range(count)]
    turns = [np.deg2rad(angle - 90.0 + 360.0 * i / count) for i in range(count)]
    return [(x + r * float(np.cos(t)), y + r * float(np.sin(t))) for r, t in zip(radii, turns, strict=True)]


def _cross(extent: float, half_width: float, x: float, y: float, angle: float) -> list[Point]:
    """Return the twelve corners of a plus sign."""
    arm = float(np.sqrt(extent**2 - half_width**2))
    w = half_width
    corners = [
        (-w, -arm), (w, -arm), (w, -w), (arm, -w), (arm, w), (w, w),
        (w, arm), (-w, arm), (-w, w), (-arm, w), (-arm, -w), (-w, -w),
    ]  # fmt: skip
    t = np.deg2rad(angle)
    c, s = float(np.cos(t)), float(np.sin(t))
    return [(x + c * px - s * py, y + s * px + c * py) for px, py in corners]


def scaled(points: Sequence[Point]) -> list[Point]:
    """Scale points to the size in which masks are drawn."""
    return [(px * SUPERSAMPLE, py * SUPERSAMPLE) for px, py in points]


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, value: int) -> None:
    k = SUPERSAMPLE
    draw.ellipse([(x - radius) * k, (y - radius) * k, (x + radius) * k, (y + radius) * k], fill=value)


def shape_mask(shape: str, x: float, y: float, radius: float, angle: float) -> Image.Image:
    """Draw a shape as a mask ``SUPERSAMPLE`` times larger than the picture: 255 inside, 0 outside."""
    mask = Image.new("L", (SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE))
    draw = ImageDraw.Draw(mask)
    extent = radius * EXTENT[shape]
    if shape in ("circle", "ring"):
        _disc(draw, x, y, extent, 255)
        if shape == "ring":
            _disc(draw, x, y, extent * _RING_HOLE, 0)
    elif shape == "cross":
        draw.polygon(scaled(_cross(extent, _CROSS_HALF_WIDTH * radius, x, y, angle)), fill=255)
    elif shape == STAR:
        draw.polygon(scaled(polygon(5, extent, x, y, angle, _STAR_INNER * radius)), fill=255)
    else:
        corners, turn = {"square": (4, 45.0), "triangle": (3, 0.0)}[shape]
        draw.polygon(scaled(polygon(corners, extent, x, y, angle + turn)), fill=255)
    return mask


def shrunk(large: Image.Image) -> Floats:
    """Average a large mask down to [64, 64] shares from 0 to 1."""
    small = large.resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255.0


def stripes(period: float, angle: float, phase: float = 0.0, duty: float = 0.5) -> Floats:
    """Draw anti-aliased parallel stripes as shares [64, 64]; period in pixels, phase in periods, angle in degrees."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    t = np.deg2rad(angle)
    along = (xx * np.cos(t) + yy * np.sin(t)) / period + phase
    distance = np.abs(along - np.floor(along) - 0.5) * period
    return np.clip(duty * period / 2 - distance + 0.5, 0.0, 1.0).astype(np.float32)


def blended(under: Floats, over: Floats | RGB, share: Floats) -> Floats:
    """Paint ``over`` on ``under`` [64, 64, 3] by ``share`` [64, 64]."""
    top = np.asarray(over, dtype=np.float32)
    return (under + (top - under) * share[..., None]).astype(np.float32)


def plain(rgb: RGB) -> Floats:
    """Fill a canvas [64, 64, 3] with one colour."""
    return np.broadcast_to(np.asarray(rgb, dtype=np.float32), (SIZE, SIZE, 3)).copy()


def to_picture(values: Floats) -> Picture:
    """Round a canvas to uint8."""
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def painted(canvas: Floats, scene: Scene) -> Floats:
    """Paint the scene's shape on a canvas [64, 64, 3]."""
    covered = coverage(scene)
    if scene.style is None:
        return blended(canvas, scene.fill, covered)
    red, green, blue = (int(c * _DARK_SHADE) for c in scene.fill)
    return blended(canvas, blended(plain((red, green, blue)), scene.fill, _BRIGHT[scene.style](scene)), covered)


def _between_stripes(scene: Scene) -> Floats:
    """Return where a hatched shape has its bright fill: [64, 64], 0 to 1."""
    turn = np.deg2rad(_STRIPE_ANGLE)
    phase = 0.5 - (scene.x * np.cos(turn) + scene.y * np.sin(turn)) / _STRIPE_PERIOD
    return stripes(_STRIPE_PERIOD, _STRIPE_ANGLE, float(phase))


def _upper_half(scene: Scene) -> Floats:
    """Return where a two-tone shape has its bright fill: [64, 64], 0 to 1."""
    rows = np.arange(SIZE, dtype=np.float32)[:, None]
    return np.broadcast_to(np.clip(np.float32(scene.y) - rows, 0, 1), (SIZE, SIZE)).astype(np.float32)


_BRIGHT: dict[str, Callable[[Scene], Floats]] = {HATCH: _between_stripes, TWO_TONE: _upper_half}


def coverage(scene: Scene) -> Floats:
    """Return how much of each pixel the scene's shape covers: [64, 64], 0 to 1."""
    return shrunk(shape_mask(scene.shape, scene.x, scene.y, scene.radius, scene.angle))


def draw(scene: Scene) -> Picture:
    """Draw the scene: uint8 [64, 64, 3]."""
    return to_picture(painted(plain(scene.backdrop), scene))
