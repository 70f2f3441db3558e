"""Sharpness and brightness of the pictures, and those that are blurred, very dark or very bright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dataset.folder import Scan
from .findings import Finding, named, paths, pictures
from .thumbnails import Thumbnails

BLURRED = 0.4
"""Sharpness below it: a blur of three pixels at 512."""
DARK, BRIGHT = 0.2, 0.8
"""All but a twentieth of a very dark picture is darker; all but a twentieth of a very bright one is brighter."""


def quality(scan: Scan, thumbnails: Thumbnails) -> list[Finding]:
    """Of instance pictures."""
    rows = [row for row, picture in enumerate(thumbnails.pictures) if not scan.pictures[picture].regularization]
    if not rows:
        return []
    sharpness = thumbnails.sharpness[rows]
    _, low, high = thumbnails.levels[:, rows]
    kinds = (
        ("blurred", sharpness < BLURRED, "blurred", "replace them by sharper ones, or the model learns the blur."),
        ("very_dark", high < DARK, "very dark", "brighten or replace them unless that is wanted."),
        ("very_bright", low > BRIGHT, "very bright", "darken or replace them unless that is wanted."),
    )
    found = []
    for kind, which, word, remedy in kinds:
        files = paths(scan.pictures, (thumbnails.pictures[rows[int(n)]] for n in np.flatnonzero(which)))
        if files:
            text = f"{pictures(len(files))} {'is' if len(files) == 1 else 'are'} {word} ({named(files)}): {remedy}"
            found.append(Finding(kind, text, files))
    return found


def figures(scan: Scan, thumbnails: Thumbnails) -> dict[str, Any]:
    """Least, middle and largest side, area, sharpness and brightness of the instance pictures, JSON types only."""
    own = [scan.pictures[i] for i in scan.instances]
    rows = [row for row, picture in enumerate(thumbnails.pictures) if not scan.pictures[picture].regularization]
    return {
        "shorter_side": _spread([min(p.width, p.height) for p in own]),
        "longer_side": _spread([max(p.width, p.height) for p in own]),
        "megapixels": _spread([p.width * p.height / 1e6 for p in own]),
        "sizes": len({(p.width, p.height) for p in own}),
        "sharpness": _spread(thumbnails.sharpness[rows].tolist()),
        "brightness": _spread(thumbnails.brightness[rows].tolist()),
    }


BINS = 20


def histograms(scan: Scan, thumbnails: Thumbnails) -> dict[str, Any]:
    """How the instance pictures spread: ``low`` and ``high`` of the range, and ``counts`` in equal parts of it.

    Sharpness and brightness from 0 to 1; sides in pixels, from the least to the largest.
    """
    own = [scan.pictures[i] for i in scan.instances]
    rows = [row for row, picture in enumerate(thumbnails.pictures) if not scan.pictures[picture].regularization]
    return {
        "shorter_side": _counted([min(p.width, p.height) for p in own]),
        "longer_side": _counted([max(p.width, p.height) for p in own]),
        "sharpness": _counted(thumbnails.sharpness[rows].tolist(), (0.0, 1.0)),
        "brightness": _counted(thumbnails.brightness[rows].tolist(), (0.0, 1.0)),
    }


def _counted(values: Sequence[float], limits: tuple[float, float] | None = None) -> dict[str, Any] | None:
    if not values:
        return None
    low, high = limits if limits is not None else (float(min(values)), float(max(values)))
    counts, _ = np.histogram(np.clip(values, low, high), BINS if high > low else 1, (low, max(high, low + 1e-9)))
    return {"low": low, "high": high, "counts": counts.tolist()}


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    least, middle, most = (round(float(v), 3) for v in np.percentile(values, (0, 50, 100)))
    return {"least": least, "middle": middle, "most": most}
