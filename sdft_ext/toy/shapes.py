"""The shapes that a toy world may have, and how each is drawn: four times larger than the picture, then averaged down,
so that edges are anti-aliased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from .pictures import SIZE, Floats

Point: TypeAlias = tuple[float, float]

SUPERSAMPLE = 4
"""A picture is drawn this many times larger and averaged down."""
_CROSS_HALF_WIDTH = 0.36


@dataclass(frozen=True)
class Pose:
    """Where a shape is and how large: lengths in pixels, the angle in degrees (clockwise on screen)."""

    x: float
    y: float
    radius: float
    reach: float
    """Distance from the centre to the farthest point."""
    angle: float


@dataclass(frozen=True)
class Shape:
    """A shape; ``draw`` fills its outline."""

    extent: float
    """Distance from the centre to the farthest point, in units of the radius (so that areas stay alike)."""
    symmetry: int
    """Degrees after which the outline repeats; 1: it is round."""
    draw: Callable[[ImageDraw.ImageDraw, Pose], None]
    holes: tuple[float, ...] = ()
    """Holes, as shares of the radius, that still make this shape: edges blur, and a hole looks smaller than it was
    drawn.
    """


def polygon(points: int, radius: float, x: float, y: float, angle: float, inner: float | None = None) -> list[Point]:
    """Return the corners of a regular polygon, or of a star where ``inner`` (radius of the notches) is given; the first
    corner points up.
    """
    count = points if inner is None else 2 * points
    radii = [radius if inner is None or i % 2 == 0 else inner for i in range(count)]
    turns = [np.deg2rad(angle - 90.0 + 360.0 * i / count) for i in range(count)]
    return [(x + r * float(np.cos(t)), y + r * float(np.sin(t))) for r, t in zip(radii, turns, strict=True)]


def _turned(points: Sequence[Point], x: float, y: float, angle: float) -> list[Point]:
    """Turn points around the origin, then move it to (x, y)."""
    t = np.deg2rad(angle)
    c, s = float(np.cos(t)), float(np.sin(t))
    return [(x + c * px - s * py, y + s * px + c * py) for px, py in points]


def _cross(extent: float, half_width: float, x: float, y: float, angle: float) -> list[Point]:
    """Return the twelve corners of a plus sign."""
    arm = float(np.sqrt(extent**2 - half_width**2))
    w = half_width
    corners = [
        (-w, -arm), (w, -arm), (w, -w), (arm, -w), (arm, w), (w, w),
        (w, arm), (-w, arm), (-w, w), (-arm, w), (-arm, -w), (-w, -w),
    ]  # fmt: skip
    return _turned(corners, x, y, angle)


def scaled(points: Sequence[Point]) -> list[Point]:
    """Scale points to the size in which masks are drawn."""
    return [(px * SUPERSAMPLE, py * SUPERSAMPLE) for px, py in points]


def _disc(pen: ImageDraw.ImageDraw, pose: Pose, radius: float, value: int) -> None:
    k, x, y = SUPERSAMPLE, pose.x, pose.y
    pen.ellipse([(x - radius) * k, (y - radius) * k, (x + radius) * k, (y + radius) * k], fill=value)


def _round(extent: float, hole: float = 0.0, holes: tuple[float, ...] = ()) -> Shape:
    """Make a disc, or a ring where ``hole`` (share of the extent) is given."""

    def draw(pen: ImageDraw.ImageDraw, pose: Pose) -> None:
        _disc(pen, pose, pose.reach, 255)
        if hole:
            _disc(pen, pose, pose.reach * hole, 0)

    return Shape(extent, 1, draw, holes)


def _regular(extent: float, corners: int, turn: float = 0.0, inner: float | None = None) -> Shape:
    """Make a regular polygon, or a star whose notches are at ``inner`` radii from the centre."""

    def draw(pen: ImageDraw.ImageDraw, pose: Pose) -> None:
        notch = None if inner is None else inner * pose.radius
        pen.polygon(scaled(polygon(corners, pose.reach, pose.x, pose.y, pose.angle + turn, notch)), fill=255)

    return Shape(extent, 360 // corners, draw)


def _plus(extent: float) -> Shape:
    def draw(pen: ImageDraw.ImageDraw, pose: Pose) -> None:
        pen.polygon(scaled(_cross(pose.reach, _CROSS_HALF_WIDTH * pose.radius, pose.x, pose.y, pose.angle)), fill=255)

    return Shape(extent, 90, draw)


def _outlined(extent: float, symmetry: int, points: Sequence[Point]) -> Shape:
    """Make a shape of an outline in any units: its centre of mass becomes the centre, its farthest point the extent."""
    corners = np.array(points)
    ahead = np.roll(corners, -1, axis=0)
    twice = corners[:, 0] * ahead[:, 1] - ahead[:, 0] * corners[:, 1]
    corners = corners - ((corners + ahead) * twice[:, None]).sum(axis=0) / (3 * twice.sum())
    corners = corners / np.hypot(*corners.T).max()

    def draw(pen: ImageDraw.ImageDraw, pose: Pose) -> None:
        outline = [(float(px), float(py)) for px, py in corners * pose.reach]
        pen.polygon(scaled(_turned(outline, pose.x, pose.y, pose.angle)), fill=255)

    return Shape(extent, symmetry, draw)


def _arc(radius: float, first: float, last: float, x: float = 0.0, y: float = 0.0) -> list[Point]:
    """Return points of an arc between two angles (degrees, 0 to the right, 90 downwards)."""
    turns = np.deg2rad(np.linspace(first, last, 40))
    return [(x + radius * float(np.cos(t)), y + radius * float(np.sin(t))) for t in turns]


def _heart() -> list[Point]:
    turns = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    xs = 16 * np.sin(turns) ** 3
    ys = -(13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns))
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def _petals(count: int, depth: float) -> list[Point]:
    turns = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    radii = 1 - depth * (0.5 + 0.5 * np.cos(count * turns))
    return [(float(r * np.sin(t)), float(r * np.cos(t))) for r, t in zip(radii, turns, strict=True)]


SHAPES: dict[str, Shape] = {
    "circle": _round(1.0),
    "square": _regular(1.22, 4, 45.0),
    "triangle": _regular(1.3, 3),
    "cross": _plus(1.2),
    "ring": _round(1.08, 0.52, (0.3, 0.4, 0.62)),
    "star": _regular(1.32, 5, inner=0.52),
    "hexagon": _regular(1.08, 6),
    "heart": _outlined(1.25, 360, _heart()),
    "arrow": _outlined(1.35, 360, [(0, -4), (3.4, 0), (1.3, 0), (1.3, 4), (-1.3, 4), (-1.3, 0), (-3.4, 0)]),
    "crescent": _outlined(1.3, 360, [*_arc(1, 50, 310), *_arc(0.78, 285, 75, 0.42)]),
    "corner": _outlined(1.35, 360, [(0, 0), (1.25, 0), (1.25, 2.6), (3.6, 2.6), (3.6, 3.8), (0, 3.8)]),
    "zigzag": _outlined(1.3, 180, [(-3, -2), (1, -2), (1, 0), (3, 0), (3, 2), (-1, 2), (-1, 0), (-3, 0)]),
    "ellipse": _outlined(1.35, 180, [(1.35 * x, 0.72 * y) for x, y in _arc(1, 0, 350)]),
    "house": _outlined(
        1.25, 360, [(0, -1.9), (1.7, -0.3), (1.1, -0.3), (1.1, 1.3), (-1.1, 1.3), (-1.1, -0.3), (-1.7, -0.3)]
    ),
    "hourglass": _outlined(1.35, 180, [(-1.1, -1.4), (1.1, -1.4), (0.3, 0), (1.1, 1.4), (-1.1, 1.4), (-0.3, 0)]),
    "arch": _outlined(
        1.2, 360, [*_arc(1, 180, 360), (1, 0.75), (0.46, 0.75), *_arc(0.46, 360, 180), (-0.46, 0.75), (-1, 0.75)]
    ),
    "tee": _outlined(
        1.3,
        360,
        [(-1.5, -1.4), (1.5, -1.4), (1.5, -0.45), (0.5, -0.45), (0.5, 1.5), (-0.5, 1.5), (-0.5, -0.45), (-1.5, -0.45)],
    ),
    "clover": _outlined(1.2, 90, _petals(4, 0.55)),
}
"""The library; a world names some of them."""


def shape_mask(shape: str, x: float, y: float, radius: float, angle: float) -> Image.Image:
    """Draw a shape as a mask ``SUPERSAMPLE`` times larger than the picture: 255 inside, 0 outside."""
    mask = Image.new("L", (SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE))
    known = SHAPES[shape]
    known.draw(ImageDraw.Draw(mask), Pose(x, y, radius, radius * known.extent, angle))
    return mask


def shrunk(large: Image.Image) -> Floats:
    """Average a large mask down to [64, 64] shares from 0 to 1."""
    small = large.resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255.0
