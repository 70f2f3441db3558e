"""Find what recurs in a concept's pictures but isn't in their captions: background, light, position, border, marks.

A model learns everything that all pictures share as part of the concept. What captions name is learned under their
words instead, so a feature is reported where captions of pictures that show it don't name it: all of them, or some.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..dataset.folder import Scan
from . import backgrounds, borders, objects, overlays, phrases, recurring_text
from .concept_pictures import ConceptPictures
from .findings import Finding
from .thumbnails import Thumbnails

MIN_PICTURES = 5
"""Fewer pictures than this aren't examined."""
MIN_PICTURES_FOR_MARKS = 8
MARK_SHARE = 0.5
"""Least share of the pictures that show a border or a mark, or of which the object is found."""
BACKGROUND_SHARE = 0.6
"""Least share of the pictures that have the same background."""
SAME_PLACE, PLACE_SHARE, FEW_PLACE_SHARE = 0.07, 0.6, 0.8
"""Objects are in the same place within this share of a side; least share of them, and least share of few."""
AT_BORDER = 0.1
"""A mark this near to the edge, in pictures with a border, is part of the border."""
SAME_BRIGHTNESS, FEW_SAME_BRIGHTNESS = 0.045, 0.025
"""Pictures whose mean brightness (0–1) has a smaller standard deviation are equally bright; in few pictures it is small
by chance."""


def recurring_features(scan: Scan, thumbnails: Thumbnails, copies: Collection[int] = ()) -> list[Finding]:
    """Return the findings on all concepts.

    ``thumbnails`` are of ``scan.pictures``; ``copies`` are rows of them to skip: all but the first of each group of
    duplicates, which would make anything recur.
    """
    skipped = set(copies)
    found: list[Finding] = []
    for concept in range(len(scan.concepts)):
        found += phrases.recurring(scan, concept)
        rows = [
            row
            for row, picture in enumerate(thumbnails.pictures)
            if row not in skipped
            and scan.pictures[picture].concept == concept
            and not scan.pictures[picture].regularization
        ]
        if len(rows) >= MIN_PICTURES:
            found += _visible(ConceptPictures(scan, concept, thumbnails, rows))
    return found


def _visible(these: ConceptPictures) -> list[Finding]:
    found: list[Finding] = []
    colours, plain = backgrounds.plain(these.thumbs)
    colour, rows = backgrounds.most_common(colours, np.flatnonzero(plain))
    same_background = len(rows) >= max(BACKGROUND_SHARE * len(these), MIN_PICTURES - 1)
    frames = np.flatnonzero(borders.bordered(these.thumbs))
    framed = len(frames) >= max(MARK_SHARE * len(these), MIN_PICTURES - 1)
    scene = None if same_background or framed else overlays.scene(these.thumbs)
    if framed:
        found += these.finding(
            "border", "recurring_border", frames.tolist(), "There is a border or bars around the picture",
            "crop them off, or add pictures without.",
        )  # fmt: skip
    elif same_background:
        name = backgrounds.colour_name(colour)
        found += these.finding(
            "background", "recurring_background", rows.tolist(), f"The background is the same plain {name}",
            f"add '{name} background' to the captions, take pictures in front of other backgrounds, or mask it.",
            colour=[int(value) for value in np.rint(colour)], name=name,
        )  # fmt: skip
    elif scene is not None:
        found += these.finding(
            "background", "recurring_background", scene.rows.tolist(), "The same scene is behind the object",
            "describe it in the captions, take pictures in other places, or mask it.", box=list(scene.box),
        )  # fmt: skip
    else:
        found += _brightness(these)
    marks = []
    if scene is None and len(these) >= MIN_PICTURES_FOR_MARKS:
        marks = _mark(these, colour if same_background else None, framed)
    return [*found, *marks, *recurring_text.recurring(these, marks), *_position(these)]


def _brightness(these: ConceptPictures) -> list[Finding]:
    levels = these.brightness
    if float(levels.std()) >= (FEW_SAME_BRIGHTNESS if len(these) < MIN_PICTURES_FOR_MARKS else SAME_BRIGHTNESS):
        return []
    return these.finding(
        "brightness", "recurring_brightness", range(len(these)), "The brightness is nearly the same",
        "describe the light in the captions, or add darker and brighter pictures.",
        mean=round(float(levels.mean()), 3), spread=round(float(levels.std()), 3),
    )  # fmt: skip


def _mark(these: ConceptPictures, background: np.ndarray | None, framed: bool) -> list[Finding]:
    area = overlays.mark(these.thumbs, background)
    if area is None or len(area.rows) < MARK_SHARE * len(these):
        return [] if framed else _corner_mark(these)
    left, top, right, bottom = area.box
    at_edge = min(left, top, 1 - right, 1 - bottom) < AT_BORDER
    in_middle = left < 0.5 < right and top < 0.5 < bottom
    if (framed and at_edge) or (background is not None and in_middle):  # the border itself, or the object
        return []
    across = "left" if right < 0.5 else "right" if left > 0.5 else "middle"
    down = "upper" if bottom < 0.5 else "lower" if top > 0.5 else "middle"
    where = "in the middle" if across == down == "middle" else f"in the {down} {across}"
    return these.finding(
        "mark", "recurring_mark", area.rows.tolist(), f"The same mark (a badge, text or watermark {where}) is",
        "crop it off, paint it out, mask it, or describe it in the captions.",
        box=[round(side, 3) for side in area.box],
    )  # fmt: skip


def _corner_mark(these: ConceptPictures) -> list[Finding]:
    found = overlays.corner_mark(these.corners)
    if found is None or len(found[1]) < MARK_SHARE * len(these.corners):
        return []
    corner, rows = overlays.CORNERS[found[0]], these.sampled[found[1]].tolist()
    return these.finding(
        "mark", "recurring_mark", rows, f"The same small mark (a watermark or text in the {corner} corner) is",
        "crop it off, paint it out, mask it, or describe it in the captions.", corner=corner,
    )  # fmt: skip


def _position(these: ConceptPictures) -> list[Finding]:
    centres = objects.centres(these.thumbs)
    known = np.flatnonzero(~np.isnan(centres[:, 0]))
    if len(known) < max(MIN_PICTURES - 1, MARK_SHARE * len(these)):
        return []
    median = np.median(centres[known], axis=0)
    near = known[np.abs(centres[known] - median).max(axis=1) < SAME_PLACE]
    if len(near) < (FEW_PLACE_SHARE if len(known) < overlays.FEW else PLACE_SHARE) * len(known):
        return []
    return these.finding(
        "position", "recurring_position", near.tolist(), "The object is in the same place",
        "crop some so that it is elsewhere, and add pictures from nearer and farther away.",
        x=round(float(median[0]), 3), y=round(float(median[1]), 3),
    )  # fmt: skip
