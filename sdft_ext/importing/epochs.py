"""How many batches an epoch has in kohya's sd-scripts and in OneTrainer, by their own rules.

Both put pictures into buckets of one size and fill batches from each. sd-scripts ends each bucket with a smaller batch
(library/train_util.py, ``BaseDataset.make_buckets``); OneTrainer drops what doesn't fill one (mgds,
``AspectBatchSorting``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from .files import FoundPicture

Size = tuple[int, int]
SHAPES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0)
"""OneTrainer's aspect ratios, each upright and across."""


@dataclass
class Showing:
    """A picture, and how often an epoch shows it."""

    picture: FoundPicture
    repeats: int


@dataclass(frozen=True)
class KohyaBuckets:
    """sd-scripts' settings of buckets, in pixels; ``area`` of the resolution."""

    enabled: bool
    width: int
    height: int
    low: int
    high: int
    step: int
    no_upscale: bool


def balanced(instances: Sequence[Showing], regularization: Sequence[Showing]) -> list[Showing]:
    """Return the regularization pictures that sd-scripts shows: one after the other until there are as many as
    instance pictures, and again with one more repeat each where they are too few.
    """
    wanted, shown, kept = sum(one.repeats for one in instances), 0, list[Showing]()
    if not regularization or not wanted:
        return []
    for one in regularization:
        kept.append(replace(one))
        shown += one.repeats
        if shown >= wanted:
            return kept
    missing = wanted - shown
    for number, one in enumerate(kept):
        one.repeats += missing // len(kept) + (number < missing % len(kept))
    return kept


def kohya_batches(showings: Iterable[Showing], buckets: KohyaBuckets, batch_size: int) -> int:
    """Count the batches of one of sd-scripts' datasets in an epoch; the last of each bucket may be smaller."""
    shown, counts = _by_size(showings), Counter[Size]()
    for (width, height), repeats in shown.items():
        counts[kohya_bucket(width, height, buckets)] += repeats
    return sum(math.ceil(count / batch_size) for count in counts.values())


def kohya_bucket(width: int, height: int, buckets: KohyaBuckets) -> Size:
    """Return the size of the bucket that sd-scripts puts a picture into (``BucketManager.select_bucket``)."""
    if not buckets.enabled:
        return buckets.width, buckets.height
    if buckets.no_upscale:
        return _kept_size(width, height, buckets)
    sizes = _kohya_sizes(buckets)
    if (width, height) in sizes:
        return width, height
    return min(sizes, key=lambda size: abs(size[0] / size[1] - width / height))


def onetrainer_batches(showings: Iterable[Showing], resolution: int, quantization: int, batch_size: int) -> int:
    """Count OneTrainer's batches in an epoch. ``quantization`` 0: all pictures are cropped to squares."""
    shown, counts = _by_size(showings), Counter[Size]()
    for (width, height), repeats in shown.items():
        counts[onetrainer_bucket(width, height, resolution, quantization)] += repeats
    return sum(count // batch_size for count in counts.values())


def onetrainer_bucket(width: int, height: int, resolution: int, quantization: int) -> Size:
    """Return the size of OneTrainer's bucket with the nearest ratio of height to width (mgds, ``AspectBucketing``)."""
    if not quantization:
        return resolution, resolution
    sizes = {
        (round(long / quantization) * quantization, round(short / quantization) * quantization)
        for ratio in SHAPES
        for first, second in ((ratio**0.5, ratio**-0.5), (ratio**-0.5, ratio**0.5))
        for long, short in ((first * resolution, second * resolution),)
        if min(round(long / quantization), round(short / quantization)) > 0
    } or {(quantization, quantization)}
    return min(sorted(sizes), key=lambda size: abs(size[1] / size[0] - height / width))


def _by_size(showings: Iterable[Showing]) -> Counter[Size]:
    """Count the showings of each size of pictures."""
    counts = Counter[Size]()
    for one in showings:
        counts[one.picture.width, one.picture.height] += one.repeats
    return counts


@lru_cache(maxsize=16)
def _kohya_sizes(buckets: KohyaBuckets) -> list[Size]:
    """Return sd-scripts' buckets, narrow ones first (``make_bucket_resolutions``)."""
    area, step = buckets.width * buckets.height, max(buckets.step, 1)
    square = int(math.sqrt(area) // step) * step
    found = {(square, square)}
    for side in range(buckets.low, buckets.high + 1, step):
        other = min(buckets.high, area // max(side, 1) // step * step)
        if other >= buckets.low:
            found |= {(side, other), (other, side)}
    return sorted(size for size in found if min(size) > 0) or [(buckets.width, buckets.height)]


def _kept_size(width: int, height: int, buckets: KohyaBuckets) -> Size:
    """Return the bucket of a picture that is never enlarged: its own size, reduced to the area, in whole steps."""
    area, step, ratio = buckets.width * buckets.height, max(buckets.step, 1), width / height

    def rounded(pixels: float) -> int:
        return int(pixels + 0.5) // step * step

    if width * height > area:
        wide = rounded(math.sqrt(area * ratio))
        tall = rounded(math.sqrt(area / ratio))
        by_width, by_height = (wide, max(rounded(wide / ratio), 1)), (max(rounded(tall * ratio), 1), max(tall, 1))
        if abs(by_width[0] / by_width[1] - ratio) < abs(by_height[0] / by_height[1] - ratio):
            width, height = by_width[0], int(by_width[0] / ratio + 0.5)
        else:
            width, height = int(by_height[1] * ratio + 0.5), by_height[1]
    return width // step * step, height // step * step
