"""What recurs in the pictures of a concept and no caption names: background, brightness, position, border, marks.

A model learns everything that all pictures share as part of the concept. What captions name is learned apart from it,
so a feature is reported only where most captions of the pictures that show it don't name it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

from ..dataset.folder import Scan
from . import backgrounds, borders, objects, overlays, tags
from .findings import Finding, paths, whose
from .thumbnails import Thumbnails

FEWEST = 5
"""Pictures, below which nothing recurs."""
FEWEST_FOR_MARKS = 8
MOST = 0.5
"""Share of the pictures that show a border or a mark."""
SAME_GROUND = 0.6
"""Share of the pictures that show the same background."""
SAME_PLACE, SAME_PLACE_MOST, FEW_SAME_PLACE_MOST = 0.07, 0.6, 0.8
"""Objects are in the same place within this share of a side; so many of them, and so many of few."""
AT_BORDER = 0.1
"""A mark this near to the edge of pictures with a border is taken for a part of it."""
SAME_BRIGHTNESS, FEW_SAME_BRIGHTNESS = 0.045, 0.025
"""Standard deviation of the pictures' mean brightness (0–1) below which they are equally bright; that of few pictures
is small by chance."""

WORDS: dict[str, frozenset[str]] = {
    "background": frozenset({"background", "backgrounds", "backdrop"}),
    "brightness": frozenset(
        {
            "dark",
            "bright",
            "night",
            "light",
            "lit",
            "lighting",
            "dim",
            "sunlight",
            "sunny",
            "overexposed",
            "underexposed",
        }
    ),
    "position": frozenset({"centered", "centred", "center", "centre", "middle", "left", "right", "top", "bottom"}),
    "border": frozenset({"border", "frame", "framed", "letterbox", "letterboxed", "pillarboxed"}),
    "mark": frozenset({"watermark", "text", "logo", "signature", "lettering", "username", "badge", "stamp", "date"}),
}
"""Any of these in a caption names the feature."""
_WORD = re.compile(r"[a-z]+")


def recurring_features(scan: Scan, thumbnails: Thumbnails, copies: Collection[int] = ()) -> list[Finding]:
    """Of all concepts. ``thumbnails`` are of ``scan.pictures``; ``copies`` are rows of them to pass over: the second
    and further ones of a group of duplicates, which would make anything recur.
    """
    passed = set(copies)
    found: list[Finding] = []
    for concept in range(len(scan.concepts)):
        found += tags.recurring(scan, concept)
        rows = [
            row
            for row, picture in enumerate(thumbnails.pictures)
            if row not in passed
            and scan.pictures[picture].concept == concept
            and not scan.pictures[picture].regularization
        ]
        if len(rows) >= FEWEST:
            found += _seen(_Set(scan, concept, thumbnails, rows))
    return found


class _Set:
    """One concept's different pictures."""

    def __init__(self, scan: Scan, concept: int, thumbnails: Thumbnails, rows: Sequence[int]) -> None:
        self.scan, self.concept = scan, concept
        self.pictures = [thumbnails.pictures[row] for row in rows]
        self.thumbs = thumbnails.thumbs[list(rows)]
        self.brightness = thumbnails.brightness[list(rows)]

    def __len__(self) -> int:
        return len(self.pictures)

    def finding(
        self, feature: str, kind: str, rows: Sequence[int], what: str, advice: str, **facts: object
    ) -> list[Finding]:
        """One finding, or none where most captions name the feature."""
        those = [self.pictures[row] for row in rows]
        naming = sum(not WORDS[feature].isdisjoint(_WORD.findall(self.scan.pictures[p].caption.lower())) for p in those)
        if 2 * naming >= len(those):
            return []
        text = (
            f"{what} in {len(those):,} of {len(self):,} pictures{whose(self.scan, self.concept)}, and captions don't "
            f"name "
            f"it, so it is learned as part of the concept: {advice}"
        )
        details = {"count": len(those), "pictures": len(self), **facts}
        return [Finding(kind, text, paths(self.scan.pictures, those), self.concept, details)]


def _seen(these: _Set) -> list[Finding]:
    found: list[Finding] = []
    colours, plain = backgrounds.plain(these.thumbs)
    colour, rows = backgrounds.most_common(colours, np.flatnonzero(plain))
    same_ground = len(rows) >= max(SAME_GROUND * len(these), FEWEST - 1)
    frames = np.flatnonzero(borders.bordered(these.thumbs))
    framed = len(frames) >= max(MOST * len(these), FEWEST - 1)
    around = None if same_ground or framed else overlays.scene(these.thumbs)
    if framed:
        found += these.finding(
            "border", "recurring_border", frames.tolist(), "A border or bars stand around the picture",
            "cut them off.",
        )  # fmt: skip
    elif same_ground:
        name = backgrounds.colour_name(colour)
        found += these.finding(
            "background", "recurring_background", rows.tolist(), f"The background is the same plain {name}",
            f"take pictures before other backgrounds, write '{name} background' into the captions, or mask it.",
            colour=[int(value) for value in np.rint(colour)], name=name,
        )  # fmt: skip
    elif around is not None:
        found += these.finding(
            "background", "recurring_background", around.rows.tolist(), "The same scene lies behind the object",
            "take pictures at other places, name it in the captions, or mask it.", box=list(around.box),
        )  # fmt: skip
    else:
        found += _brightness(these)
    if around is None and len(these) >= FEWEST_FOR_MARKS:
        found += _mark(these, colour if same_ground else None, framed)
    return found + _position(these)


def _brightness(these: _Set) -> list[Finding]:
    levels = these.brightness
    if float(levels.std()) >= (FEW_SAME_BRIGHTNESS if len(these) < FEWEST_FOR_MARKS else SAME_BRIGHTNESS):
        return []
    return these.finding(
        "brightness", "recurring_brightness", range(len(these)), "The brightness is nearly the same",
        "add darker and brighter pictures, or name the light in the captions.",
        mean=round(float(levels.mean()), 3), spread=round(float(levels.std()), 3),
    )  # fmt: skip


def _mark(these: _Set, background: np.ndarray | None, framed: bool) -> list[Finding]:
    area = overlays.mark(these.thumbs, background)
    if area is None or len(area.rows) < MOST * len(these):
        return []
    left, top, right, bottom = area.box
    at_edge = min(left, top, 1 - right, 1 - bottom) < AT_BORDER
    in_middle = left < 0.5 < right and top < 0.5 < bottom
    if (framed and at_edge) or (background is not None and in_middle):  # the border itself, or the object
        return []
    across = "left" if right < 0.5 else "right" if left > 0.5 else "middle"
    down = "upper" if bottom < 0.5 else "lower" if top > 0.5 else "middle"
    where = "in the middle" if across == down == "middle" else f"in the {down} {across}"
    return these.finding(
        "mark", "recurring_mark", area.rows.tolist(), f"The same mark (a badge, text or watermark {where}) stands",
        "cut it off, paint it out, or mask it.", box=[round(side, 3) for side in area.box],
    )  # fmt: skip


def _position(these: _Set) -> list[Finding]:
    centres = objects.centres(these.thumbs)
    told = np.flatnonzero(~np.isnan(centres[:, 0]))
    if len(told) < max(FEWEST - 1, MOST * len(these)):
        return []
    middle = np.median(centres[told], axis=0)
    near = told[np.abs(centres[told] - middle).max(axis=1) < SAME_PLACE]
    if len(near) < (FEW_SAME_PLACE_MOST if len(told) < overlays.FEW else SAME_PLACE_MOST) * len(told):
        return []
    return these.finding(
        "position", "recurring_position", near.tolist(), "The object stands at the same place",
        "crop some so that it stands elsewhere, and add pictures from nearer and farther away.",
        x=round(float(middle[0]), 3), y=round(float(middle[1]), 3),
    )  # fmt: skip
