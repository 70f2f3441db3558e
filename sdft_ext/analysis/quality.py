"""Statistics of the pictures' sizes, sharpness and brightness; pictures that are blurred, very dark or very bright."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ..dataset.folder import Scan
from .findings import Finding, named, paths, pictures, whose
from .thumbnails import Thumbnails

BLURRED = 0.4
"""Pictures with less sharpness are blurred: as by a blur of three pixels at 512."""
DARK, BRIGHT = 0.2, 0.8
"""In a very dark picture, 95 % of the pixels are darker than 0.2; in a very bright one, 95 % are brighter than 0.8."""

NOTICED = 0.1
"""Least share of the regularization pictures that have a fault, or repeat others, to be reported: a class is shown by
many pictures, and takes on what many of them share."""


def quality(scan: Scan, thumbnails: Thumbnails) -> list[Finding]:
    """Return findings on blurred, very dark and very bright pictures: instance pictures, then regularization pictures,
    where many have one fault, so that the class takes it on.
    """
    return [*_quality(scan, thumbnails, False), *_quality(scan, thumbnails, True)]


def _quality(scan: Scan, thumbnails: Thumbnails, regularization: bool) -> list[Finding]:
    kind_of = [scan.pictures[picture].regularization for picture in thumbnails.pictures]
    rows = [row for row, kind in enumerate(kind_of) if kind == regularization]
    if not rows:
        return []
    learns = "the class takes on the blur" if regularization else "the model learns the blur"
    sharpness = thumbnails.sharpness[rows]
    _, low, high = thumbnails.levels[:, rows]
    kinds = (
        ("blurred", sharpness < BLURRED, "blurred", f"use sharper ones, or {learns}."),
        ("very_dark", high < DARK, "very dark", "unless this is intended, brighten or replace {them}."),
        ("very_bright", low > BRIGHT, "very bright", "unless this is intended, darken or replace {them}."),
    )
    found = []
    for kind, which, adjective, remedy in kinds:
        files = paths(scan.pictures, (thumbnails.pictures[rows[int(n)]] for n in np.flatnonzero(which)))
        if files and not (regularization and len(files) < NOTICED * len(rows)):
            are, them = ("is", "it") if len(files) == 1 else ("are", "them")
            what = pictures(len(files), "regularization picture" if regularization else "picture")
            text = f"{what} {are} {adjective} ({named(files)}): {remedy.format(them=them)}"
            found.append(Finding(f"regularization_{kind}" if regularization else kind, text, files))
    return found


def regularization_variety(scan: Scan, thumbnails: Thumbnails, copies: Collection[int]) -> list[Finding]:
    """Return a finding for each concept whose regularization pictures repeat each other.

    ``copies``: rows of the thumbnails that are copies of others, all but the first of each group.
    """
    found = []
    for concept in range(len(scan.concepts)):
        rows = [
            row
            for row, picture in enumerate(thumbnails.pictures)
            if scan.pictures[picture].regularization and scan.pictures[picture].concept == concept
        ]
        repeated = [row for row in rows if row in copies]
        if rows and len(repeated) >= NOTICED * len(rows):
            files = paths(scan.pictures, (thumbnails.pictures[row] for row in repeated))
            text = (
                f"{len(repeated):,} of {len(rows):,} regularization pictures{whose(scan, concept)} repeat others "
                f"({named(files)}), so the class is held by few pictures: remove these, and draw others with more "
                "varied prompts."
            )
            facts = {"regularization": len(rows), "repeated": len(repeated)}
            found.append(Finding("regularization_alike", text, files, concept, facts))
    return found


def figures(scan: Scan, thumbnails: Thumbnails) -> dict[str, Any]:
    """Return least, median and largest side, area, sharpness and brightness of the instance pictures, in JSON types."""
    own = [scan.pictures[i] for i in scan.instances]
    rows = [row for row, picture in enumerate(thumbnails.pictures) if not scan.pictures[picture].regularization]
    return {
        "shorter_side": _statistics([min(p.width, p.height) for p in own]),
        "longer_side": _statistics([max(p.width, p.height) for p in own]),
        "megapixels": _statistics([p.width * p.height / 1e6 for p in own]),
        "sizes": len({(p.width, p.height) for p in own}),
        "sharpness": _statistics(thumbnails.sharpness[rows].tolist()),
        "brightness": _statistics(thumbnails.brightness[rows].tolist()),
    }


BINS = 20
"""Bars of a histogram."""


def histograms(scan: Scan, thumbnails: Thumbnails) -> dict[str, Any]:
    """Return histograms of the instance pictures: ``low`` and ``high`` of the range, ``counts`` in equal parts of it.

    Sharpness and brightness range from 0 to 1; sides, in pixels, from the least to the largest.
    """
    own = [scan.pictures[i] for i in scan.instances]
    rows = [row for row, picture in enumerate(thumbnails.pictures) if not scan.pictures[picture].regularization]
    return {
        "shorter_side": _histogram([min(p.width, p.height) for p in own]),
        "longer_side": _histogram([max(p.width, p.height) for p in own]),
        "sharpness": _histogram(thumbnails.sharpness[rows].tolist(), (0.0, 1.0)),
        "brightness": _histogram(thumbnails.brightness[rows].tolist(), (0.0, 1.0)),
    }


def _histogram(values: Sequence[float], limits: tuple[float, float] | None = None) -> dict[str, Any] | None:
    if not values:
        return None
    low, high = limits if limits is not None else (float(min(values)), float(max(values)))
    counts, _ = np.histogram(np.clip(values, low, high), BINS if high > low else 1, (low, max(high, low + 1e-9)))
    return {"low": low, "high": high, "counts": counts.tolist()}


def _statistics(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    least, median, most = (round(float(v), 3) for v in np.percentile(values, (0, 50, 100)))
    return {"least": least, "middle": median, "most": most}
