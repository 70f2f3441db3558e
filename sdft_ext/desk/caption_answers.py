"""The answers about captions that a page gets: pictures, what has changed, and what an edit would change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ..captions.entries import EditPlan, Picture
from ..captions.reading import Counter
from ..captions.store import CaptionStore
from .thumbnails import Thumbnails

MOST_SHOWN = 200
"""Captions in one answer that are shown before and after an edit."""

Plain = dict[str, Any]


class CaptionAnswers:
    """Answers as plain data. ``counter`` counts tokens; answers have the counts once the tokenizer is loaded."""

    def __init__(self, thumbnails: Thumbnails, counter: Counter) -> None:
        self._thumbnails, self._counter = thumbnails, counter

    def pictures(self, pictures: Sequence[Picture]) -> list[Plain]:
        counts: Sequence[int | None] = [None] * len(pictures)
        if self._counter.ready:
            counts = self._counter.counts([picture.caption for picture in pictures])
        return [
            {
                "id": p.id,
                "name": p.name,
                "picture": self._thumbnails.url(p.path, p.size, p.mtime_ns),
                "width": p.width,
                "height": p.height,
                "caption": p.caption,
                "tokens": tokens,
                "concept": p.concept,
                "source": p.entry.source,
                "state": p.entry.state,
                "revision": p.revision,
            }
            for p, tokens in zip(pictures, counts, strict=True)
        ]

    def changed(self, found: CaptionStore, since: int) -> Plain:
        """Return what has changed in a folder since a revision."""
        with found.lock:
            return {
                "changed": self.pictures(found.changed_since(since)),
                "gone": [id for id, revision in found.removed.items() if revision > since],
                "revision": found.revision,
                "history": self.history(found),
            }

    def history(self, found: CaptionStore) -> Plain:
        """Return what undo and redo would do, how many captions are unsaved, and whether they can be written."""
        why = found.read_only_reason()
        return {
            "undo": found.undo_label,
            "redo": found.redo_label,
            "unsaved": found.count("changed"),
            "conflicts": found.count("conflict"),
            "autosave": found.autosave,
            "writable": not why,
            "why": why,
        }


def preview(pictures: Sequence[Picture], outcome: EditPlan, most: int) -> Plain:
    """Return what an edit of these pictures would change, with the first ``most`` captions before and after."""
    new = {name: after for name, _, after in outcome.changes}
    changed = [picture for picture in pictures if picture.entry.name in new]
    return {
        "preview": token(outcome),
        "count": len(outcome.changes),
        "of": len(pictures),
        "ids": [picture.id for picture in changed],
        "shown": [
            {"id": picture.id, "before": picture.caption, "after": new[picture.entry.name]}
            for picture in changed[: min(most, MOST_SHOWN)]
        ],
        "notes": list(outcome.notes),
    }


def token(outcome: EditPlan) -> str:
    """Hash an outcome: an edit compares its preview's token with this to see whether it would still do the same."""
    return hashlib.blake2b(repr(outcome.changes).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
