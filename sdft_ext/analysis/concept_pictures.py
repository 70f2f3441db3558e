"""The instance pictures of a concept, and whether their captions name what they have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..dataset.folder import Scan
from .findings import Finding, named, paths, whose
from .thumbnails import Thumbnails

FEATURE_WORDS: dict[str, frozenset[str]] = {
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
    "text": frozenset(
        {
            *("text", "texts", "watermark", "watermarks", "watermarked", "logo", "logos", "signature", "signatures"),
            *("signed", "lettering", "letters", "letter", "username", "stamp", "timestamp", "date", "dated", "caption"),
            *("captions", "captioned", "subtitle", "subtitles", "subtitled", "title", "bubble", "bubbles", "writing"),
            *("written", "handwriting", "inscription", "word", "words", "slogan", "copyright", "credits", "label"),
            *("sign", "poster", "font", "typography", "url", "website"),
        }
    ),
}
"""A caption names a feature if it has one of these words."""
_WORD = re.compile(r"[a-z]+")


class ConceptPictures:
    """The instance pictures of a concept, without duplicates."""

    def __init__(self, scan: Scan, concept: int, thumbnails: Thumbnails, rows: Sequence[int]) -> None:
        self.scan, self.concept = scan, concept
        self.pictures = [thumbnails.pictures[row] for row in rows]
        self.thumbs = thumbnails.thumbs[list(rows)]
        self.brightness = thumbnails.brightness[list(rows)]
        sampled = [number for number, row in enumerate(rows) if row in thumbnails.corners]
        self.sampled = np.array(sampled, dtype=np.int64)
        self.corners = np.array([thumbnails.corners[rows[number]] for number in sampled], dtype=np.uint8)
        self.texts = np.array([thumbnails.texts[rows[number]] for number in sampled], dtype=np.float32)

    def __len__(self) -> int:
        return len(self.pictures)

    def finding(
        self, feature: str, kind: str, rows: Sequence[int], what: str, advice: str, **facts: object
    ) -> list[Finding]:
        """Return one finding, or none where all captions name the feature: then it isn't learned with the concept.

        ``what``: the feature and "is", for a sentence; ``advice``: what else than captions removes it.
        """
        those = [self.pictures[row] for row in rows]
        unnamed = self.unnamed(feature, those)
        if not unnamed:
            return []
        text = f"{what} in {self.share(rows)}, and "
        files = paths(self.scan.pictures, those)
        case = "unnamed"
        if len(unnamed) == len(those):
            text += f"no caption names it, so it is learned as part of the concept: {advice}"
        else:
            case, files = "named_in_some", paths(self.scan.pictures, unnamed)
            count = f"{len(unnamed):,} of their captions {'does' if len(unnamed) == 1 else 'do'}"
            text += (
                f"{count} not name it ({named(files)}), so it is partly learned as part of the concept: name it there "
                f"too, or {advice}"
            )
        details = {"count": len(those), "pictures": len(self), "case": case, **facts}
        return [Finding(kind, text, files, self.concept, details)]

    def unnamed(self, feature: str, pictures: Sequence[int]) -> list[int]:
        """Return those of some pictures, by their numbers, whose captions don't name a feature."""
        words = FEATURE_WORDS[feature]
        return [p for p in pictures if words.isdisjoint(_WORD.findall(self.scan.pictures[p].caption.lower()))]

    def share(self, rows: Sequence[int], among: int | None = None) -> str:
        """Write '12 of 20 pictures'; ``among``: how many were examined, if not all."""
        examined = len(self) if among is None else among
        only = "" if examined == len(self) else " that were examined"
        return f"{len(rows):,} of {examined:,} pictures{whose(self.scan, self.concept)}{only}"
