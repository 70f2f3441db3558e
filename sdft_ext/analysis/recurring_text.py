"""Text in a concept's pictures, wherever it stands: a date, a signature, a watermark, a sentence.

Text that stands at the same place in most pictures is a mark (``overlays.mark``) and is reported as that alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import overlays
from .concept_pictures import ConceptPictures
from .findings import Finding, named, paths
from .thumbnails import CORNER

CERTAIN, CERTAIN_AT_ONE_PLACE = 4.2, 5.5
"""Least certainty of a text (``text_detector.find_text``), and of one that stands where half of the others stand:
pictures of one scene share what is in it, so one mistake would be made in all of them."""
ONE_PLACE = 0.08
"""Texts whose middles are this near to each other, in shares of the sides, stand at one place."""
LEAST, SHARE = 3, 0.2
"""Least number and least share of the pictures that have text."""
NEAR = 0.05
"""Text whose middle is this near to a mark, in shares of the sides, is the mark."""
REMOVE = "crop it off or paint it out"
CAPTION = "mask it, or name it in the captions as 'text' or 'watermark'"


def recurring(these: ConceptPictures, marks: Sequence[Finding]) -> list[Finding]:
    """Return a finding where many pictures have text. ``marks``: what was found at the same place in most of them."""
    places = {int(row): found[1:] for row, found in zip(these.sampled, these.texts, strict=True) if found[0] >= CERTAIN}
    places = _certain(these, places)
    for mark in marks:
        box = _box(mark)
        places = {row: place for row, place in places.items() if not _within(place, box)}
    if len(places) < max(LEAST, SHARE * len(these.sampled)):
        return []
    rows = list(places)
    those = [these.pictures[row] for row in rows]
    unnamed = these.unnamed("text", those)
    text = (
        "Text (lettering, a date, a signature or a watermark, wherever it stands) is in "
        f"{these.share(rows, len(these.sampled))}, and "
    )
    case = "unnamed" if len(unnamed) == len(those) else "named_in_some" if unnamed else "named"
    shown = dict(zip(those, rows, strict=True))
    if case == "unnamed":
        text += f"no caption names it, so it is learned as part of the concept: {REMOVE}; if you can't, {CAPTION}."
    elif case == "named_in_some":
        shown = {picture: shown[picture] for picture in unnamed}
        count = f"{len(unnamed):,} of their captions {'does' if len(unnamed) == 1 else 'do'}"
        text += (
            f"{count} not name it ({named(paths(these.scan.pictures, unnamed))}), so it is partly learned as part of "
            f"the concept: name it there too, or {REMOVE}."
        )
    else:
        text += (
            "their captions name it, so it is learned under these words, not as part of the concept. Where it still "
            "appears in pictures, put these words into the negative prompt."
        )
    boxes = [[round(float(side), 3) for side in places[row]] for row in shown.values()]
    facts = {"count": len(those), "pictures": len(these.sampled), "case": case, "boxes": boxes}
    return [Finding("recurring_text", text, paths(these.scan.pictures, shown), these.concept, facts)]


def _certain(these: ConceptPictures, places: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Leave out the texts that stand at one place with half of the others and aren't quite certain."""
    certainty = {int(row): float(found[0]) for row, found in zip(these.sampled, these.texts, strict=True)}
    middles = np.array([((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in places.values()]).reshape(-1, 2)
    near = np.abs(middles[:, None] - middles[None]).max(axis=2) <= ONE_PLACE
    together = near.sum(axis=1) >= max(LEAST, len(places) / 2)
    return {
        row: box
        for (row, box), shared in zip(places.items(), together, strict=True)
        if not shared or certainty[row] >= CERTAIN_AT_ONE_PLACE
    }


def _box(mark: Finding) -> overlays.Box:
    """Return where a mark is: its box, or its corner."""
    if "box" in mark.facts:
        left, top, right, bottom = mark.facts["box"]
        return left, top, right, bottom
    down, across = str(mark.facts["corner"]).split()
    left, top = (0.0 if across == "left" else 1 - CORNER[0]), (0.0 if down == "upper" else 1 - CORNER[1])
    return left, top, left + CORNER[0], top + CORNER[1]


def _within(place: np.ndarray, box: overlays.Box) -> bool:
    """Return whether the middle of a text is in or near a box."""
    x, y = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
    left, top, right, bottom = box
    return bool(left - NEAR <= x <= right + NEAR and top - NEAR <= y <= bottom + NEAR)
