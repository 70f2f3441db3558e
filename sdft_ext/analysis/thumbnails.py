"""Measure each picture: a thumbnail, another without a border, sharpness, the checksum of its file; of some, text.

Findings about pixels (duplicates, recurring features, sharpness) are computed from these, so each picture is decoded
once. They are cached in one file for the set of pictures, by each picture's path, size and date: the second time, 5,000
pictures take a second, and only new and changed ones are decoded.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter1d

from ..dataset import cache_files, pictures
from ..dataset.folder import Picture, Problem
from ..dataset.pictures import PictureError
from ..storage import atomic
from . import borders

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

SIDE = 64
"""Side of a thumbnail in pixels; every picture is resized to a square."""
SHARPNESS_SIDE = 512
"""Shorter side, in pixels, at which sharpness is measured: larger pictures are reduced for training too."""
CORNER, CORNER_SIZE = (0.3, 0.2), (96, 40)
"""Width and height of a corner as shares of the picture's sides, and in pixels: enough to see a small watermark."""
SAMPLED = 300
"""Instance pictures whose corners are measured and in which text is looked for, at most: more show nothing new."""
TEXT = 5
"""Numbers that ``text_detector.find_text`` returns."""
AT_ONCE = 256
"""Thumbnails that are converted to floats at a time."""
BLUR = 11
"""Width in pixels of the blur that sharpness is measured with."""
VERSION = 4
"""Increases when what is measured changes; older files are then replaced."""


@dataclass(frozen=True)
class Thumbnails:
    """Measurements of the n pictures that could be read, in the order given; ``problems`` are about the others.

    ``pictures``: indices into the pictures given; ``thumbs``: uint8 [n, side, side, 3]; ``sharpness``: from 0 (blurred)
    to 1; ``digests``: checksums of the files (``cache_files.file_hash``), as bytes; ``insides``: by row, the thumbnails
    of pictures that have a border, without it; ``corners``: by row, the corners of some instance pictures, evenly
    spread, grey, uint8 [4, 40, 96]; ``texts``: of the same, the text (``text_detector.find_text``).
    """

    pictures: tuple[int, ...]
    thumbs: np.ndarray
    sharpness: np.ndarray
    digests: np.ndarray
    insides: dict[int, np.ndarray] = field(default_factory=dict)
    corners: dict[int, np.ndarray] = field(default_factory=dict)
    texts: dict[int, np.ndarray] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def levels(self) -> np.ndarray:
        """Return each picture's brightness, 0–1: the mean, and the 5th and 95th percentile; [3, n]."""
        weights = np.array([0.299, 0.587, 0.114], dtype=np.float32) / np.float32(255)
        found = np.zeros((3, len(self)))
        for start in range(0, len(self), AT_ONCE):
            grey = self.thumbs[start : start + AT_ONCE] @ weights
            found[0, start : start + AT_ONCE] = grey.mean(axis=(1, 2))
            found[1:, start : start + AT_ONCE] = np.percentile(grey, (5, 95), axis=(1, 2))
        return found

    @property
    def brightness(self) -> np.ndarray:
        """Return each picture's mean brightness, 0–1."""
        mean: np.ndarray = self.levels[0]
        return mean

    def select(self, rows: Sequence[int]) -> Thumbnails:
        """Return the thumbnails of some rows."""
        chosen = list(rows)
        arrays = (self.thumbs[chosen], self.sharpness[chosen], self.digests[chosen])
        insides, corners, texts = (
            {new: parts[old] for new, old in enumerate(chosen) if old in parts}
            for parts in (self.insides, self.corners, self.texts)
        )
        return Thumbnails(tuple(self.pictures[row] for row in chosen), *arrays, insides, corners, texts)

    def without_borders(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the thumbnails of some rows, then those of them without a border, and the row of each."""
        framed = [row for row in rows.tolist() if row in self.insides]
        if not framed:
            return self.thumbs[rows], rows
        inside = np.stack([self.insides[row] for row in framed])
        return np.concatenate([self.thumbs[rows], inside]), np.concatenate([rows, framed])


STORED = ("keys", "thumbs", "sharpness", "digests", "framed", "insides", "sampled", "corners", "texts")
"""The arrays of a cache file."""

_Row = tuple[np.ndarray, float, bytes, np.ndarray | None, np.ndarray | None, np.ndarray | None]


def make_thumbnails(
    found: Sequence[Picture],
    folder: Path | None = None,
    background: str = "white",
    progress: Progress | None = None,
    workers: int = 2,
) -> Thumbnails:
    """Measure pictures, two at a time. ``folder``: where the measurements are cached; without it they aren't.

    Ends early if ``progress`` raises an error.
    """
    keys = [_key(picture, background) for picture in found]
    file = (
        folder / f"{cache_files.key(VERSION, *sorted(str(p.path) for p in found))}.npz" if folder is not None else None
    )
    cached = _read(file) if file is not None else {}
    rows: list[_Row | PictureError] = []
    sampled = _sampled(found)

    def row(number: int) -> _Row | PictureError:
        known = cached.get(keys[number])
        if known is not None and (known[4] is not None or number not in sampled):
            return known
        try:
            return _measure(found[number].path, background, number in sampled)
        except PictureError as error:
            return error

    pool = ThreadPoolExecutor(workers)
    try:
        for done, result in enumerate(pool.map(row, range(len(found))), 1):
            rows.append(result)
            if progress is not None:
                progress(done, len(found))
    finally:
        pool.shutdown(cancel_futures=True)  # an error in ``progress`` needn't wait for the rest
    good = [number for number, result in enumerate(rows) if not isinstance(result, PictureError)]
    thumbnails = _gather(good, rows, found)
    if file is not None and any(keys[number] not in cached for number in good):
        _write(file, [keys[number] for number in good], thumbnails)
    return thumbnails


def _key(picture: Picture, background: str) -> str:
    facts = (str(picture.path.absolute()), picture.size, picture.mtime_ns, background if picture.has_alpha else "")
    return cache_files.key(VERSION, *facts)


def _sampled(found: Sequence[Picture]) -> frozenset[int]:
    """Return the numbers of at most SAMPLED instance pictures, evenly spread."""
    instances = [number for number, picture in enumerate(found) if not picture.regularization]
    return frozenset(instances[:: -(-len(instances) // SAMPLED) or 1])


def _measure(path: Path, background: str, sampled: bool) -> _Row:
    """Open and measure one picture; where it is ``sampled``, its corners and its text too. Raises PictureError where
    the file is damaged.
    """
    image, _ = pictures.open_picture(path, background, (SHARPNESS_SIDE // 2, SHARPNESS_SIDE // 2))
    try:
        digest = bytes.fromhex(cache_files.file_hash(path))
    except OSError as error:
        raise PictureError(f"{path} can't be read ({error.strerror}); put it back or scan again.") from error
    scale = SHARPNESS_SIDE / min(image.size)
    if scale < 1:
        reduced = tuple(max(round(side * scale), 1) for side in image.size)
        image = image.resize(reduced, Image.Resampling.BILINEAR, reducing_gap=2.0)
    box = borders.inside(np.asarray(image))
    inside = np.asarray(_resized(image.crop(box), SIDE)) if box is not None else None
    grey = image.convert("L")
    measured = np.asarray(_resized(image, SIDE)), _sharpness(grey), digest, inside
    if not sampled:
        return (*measured, None, None)
    from .text_detector import find_text  # imports torch

    return (*measured, _corners(grey), find_text(image))


def _corners(grey: Any) -> np.ndarray:
    """Return the upper left, upper right, lower left and lower right corner, uint8 [4, 40, 96]."""
    width, height = grey.size
    across, down = width * CORNER[0], height * CORNER[1]
    boxes = [(x, y, x + across, y + down) for y in (0, height - down) for x in (0, width - across)]
    parts = [grey.resize(CORNER_SIZE, Image.Resampling.BILINEAR, box=box) for box in boxes]
    return np.stack([np.asarray(part) for part in parts])


def _resized(image: Any, side: int) -> Any:
    kind = Image.Resampling.BOX if min(image.size) >= side else Image.Resampling.BICUBIC
    return image.resize((side, side), kind)


def _sharpness(grey: Any) -> float:
    """Return 1 minus the blur metric of Crete et al. (2007): the share of the differences between neighbours that a
    further blur removes, in the direction where it removes less. 0.5 where there is nothing to blur.
    """
    values = np.asarray(grey, dtype=np.float32)
    shares = []
    for axis in (0, 1):
        differences = np.abs(np.diff(values, axis=axis))
        blurred = np.abs(np.diff(uniform_filter1d(values, BLUR, axis=axis, mode="nearest"), axis=axis))
        total = float(differences.sum(dtype=np.float64))
        if total < differences.size * 0.05:
            return 0.5
        shares.append(float(np.maximum(differences - blurred, 0).sum(dtype=np.float64)) / total)
    return min(shares)


def _gather(good: Sequence[int], rows: Sequence[_Row | PictureError], found: Sequence[Picture]) -> Thumbnails:
    chosen = [row for row in rows if not isinstance(row, PictureError)]
    problems = tuple(
        Problem(found[number].path, str(row), True) for number, row in enumerate(rows) if isinstance(row, PictureError)
    )
    return Thumbnails(
        tuple(good),
        np.stack([row[0] for row in chosen]) if chosen else np.zeros((0, SIDE, SIDE, 3), np.uint8),
        np.array([row[1] for row in chosen], np.float32),
        np.array([row[2] for row in chosen], "S20"),
        {number: row[3] for number, row in enumerate(chosen) if row[3] is not None},
        {number: row[4] for number, row in enumerate(chosen) if row[4] is not None},
        {number: row[5] for number, row in enumerate(chosen) if row[5] is not None},
        problems,
    )


def _read(file: Path) -> dict[str, _Row]:
    """Read cached rows by key; none where the file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            keys, thumbs, sharpness, digests, *parts = (arrays[name] for name in STORED)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    count, (framed, insides, sampled, corners, texts) = len(keys), parts
    if thumbs.shape != (count, SIDE, SIDE, 3) or insides.shape != (len(framed), SIDE, SIDE, 3):
        return {}
    if corners.shape != (len(sampled), 4, *CORNER_SIZE[::-1]) or texts.shape != (len(sampled), TEXT):
        return {}
    by_row = ((framed, insides), (sampled, corners), (sampled, texts))
    some = (map(dict(zip(rows.tolist(), values, strict=True)).get, range(count)) for rows, values in by_row)
    rows = zip(thumbs, sharpness.tolist(), (bytes(digest) for digest in digests), *some, strict=True)
    return dict(zip((str(key) for key in keys), rows, strict=True))


def _write(file: Path, keys: Sequence[str], thumbnails: Thumbnails) -> None:
    """Write the cache; if that fails, the next time takes as long as this one."""

    def writer(path: Path) -> None:
        with open(path, "wb") as handle:
            framed = np.array(list(thumbnails.insides), dtype=np.int64)
            insides = np.array(list(thumbnails.insides.values()), np.uint8).reshape(-1, SIDE, SIDE, 3)
            sampled = np.array(list(thumbnails.corners), dtype=np.int64)
            corners = np.array(list(thumbnails.corners.values()), np.uint8).reshape(-1, 4, *CORNER_SIZE[::-1])
            texts = np.array(list(thumbnails.texts.values()), np.float32).reshape(-1, TEXT)
            measured = thumbnails.thumbs, thumbnails.sharpness, thumbnails.digests
            parts = (framed, insides, sampled, corners, texts)
            np.savez(handle, **dict(zip(STORED, (np.array(keys), *measured, *parts), strict=True)))

    try:
        atomic.write(file, writer)
    except OSError:
        return
