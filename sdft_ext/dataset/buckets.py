"""Aspect-ratio buckets: the size at which each picture is trained, and its crop.

A bucket's area is at most that of a square of ``resolution``; sides are multiples of ``bucket_step`` (NovelAI 2022, as
in kohya's trainer) and of 8, the VAE's factor.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

from ..recipe import DatasetRecipe

FACTOR = 8
"""Pixels per latent cell."""


@dataclass(frozen=True, order=True)
class Bucket:
    """A size that pictures are trained at, in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}×{self.height}"


@dataclass(frozen=True)
class Geometry:
    """How a picture is fitted into its bucket: resized to ``resized`` (width, height), then cropped at ``x``, ``y``.

    All in pixels, upright, before mirroring.
    """

    bucket: Bucket
    resized: tuple[int, int]
    x: int
    y: int

    @property
    def slack(self) -> tuple[int, int]:
        """Return by how many pixels the crop can move in x and y; (0, 0) where the picture fits exactly."""
        return self.resized[0] - self.bucket.width, self.resized[1] - self.bucket.height

    def moved(self, u: float, v: float) -> Geometry:
        """Return the crop moved to the shares ``u``, ``v`` in [0, 1) of its slack."""
        right, down = self.slack
        return Geometry(self.bucket, self.resized, int(u * (right + 1)), int(v * (down + 1)))

    @property
    def kept(self) -> float:
        """Return the share of the picture's area that is inside the crop."""
        return self.bucket.width * self.bucket.height / (self.resized[0] * self.resized[1])


@dataclass(frozen=True)
class Limits:
    """The settings that buckets depend on, made consistent.

    The step is rounded up to a multiple of 8, at most the resolution. A least side above the resolution, or a largest
    below it, would leave no square, so it is adjusted: the defaults work for models of 64 pixels too.
    """

    resolution: int
    step: int
    low: int
    high: int
    enlarge: bool
    squares: bool


def limits(recipe: DatasetRecipe) -> Limits:
    """Return the recipe's bucket settings, made consistent."""
    resolution = _down(recipe.resolution, FACTOR)
    step = min(_up(recipe.bucket_step, FACTOR), resolution)
    square = _down(resolution, step)
    return Limits(
        resolution,
        step,
        low=min(_up(recipe.bucket_min, step), square),
        high=max(_down(recipe.bucket_max, step), square),
        enlarge=not recipe.no_upscale,
        squares=not recipe.buckets,
    )


@lru_cache(maxsize=16)
def sizes(limits: Limits) -> tuple[Bucket, ...]:
    """Return all buckets, from tallest to widest: for each side, the longest other side within the area."""
    if limits.squares:
        return (Bucket(limits.resolution, limits.resolution),)
    square = _down(limits.resolution, limits.step)
    found = {Bucket(square, square)}
    for side in range(limits.low, limits.high + 1, limits.step):
        other = min(_down(limits.resolution**2 // side, limits.step), limits.high)
        if other >= limits.low:
            found |= {Bucket(side, other), Bucket(other, side)}
    return tuple(sorted(found, key=lambda b: (b.width / b.height, b.width * b.height)))


@lru_cache(maxsize=65536)
def place(width: int, height: int, limits: Limits) -> Geometry:
    """Fit a picture into the bucket with the nearest aspect ratio (as a factor), covering it, cropped in the middle.

    Without enlarging, a picture that doesn't cover its bucket keeps its size, and its bucket is the part of it whose
    sides are multiples of the step (of 8 where a side is shorter than a step).
    """
    bucket = _nearest(width, height, limits)
    scale = max(bucket.width / width, bucket.height / height)
    if scale > 1 and not limits.enlarge:
        bucket = _shrunk(width, height, limits)
        scale = 1.0
    resized = max(bucket.width, round(width * scale)), max(bucket.height, round(height * scale))
    return Geometry(bucket, resized, (resized[0] - bucket.width) // 2, (resized[1] - bucket.height) // 2)


def assign(width: int, height: int, recipe: DatasetRecipe) -> Geometry:
    """Fit a picture of ``width`` × ``height`` pixels into its bucket under this recipe, cropped in the middle."""
    return place(width, height, limits(recipe))


def _nearest(width: int, height: int, limits: Limits) -> Bucket:
    all_sizes = sizes(limits)
    ratios = [b.width / b.height for b in all_sizes]
    at = bisect_left(ratios, width / height)

    def distance(bucket: Bucket) -> tuple[float, int]:
        return abs(math.log(bucket.width * height / (bucket.height * width))), -bucket.width * bucket.height

    # Ratios may repeat (a smaller bucket of the same aspect ratio), so neighbours on both sides are compared.
    return min(all_sizes[max(at - 2, 0) : at + 3], key=distance)


def _shrunk(width: int, height: int, limits: Limits) -> Bucket:
    def side(pixels: int) -> int:
        pixels = min(pixels, limits.high)
        return _down(pixels, limits.step if pixels >= limits.step else FACTOR)

    if limits.squares:
        both = side(min(width, height))
        return Bucket(both, both)
    return Bucket(side(width), side(height))


def _down(value: int, step: int) -> int:
    return value // step * step


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
