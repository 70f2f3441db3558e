"""Statistics of an open folder's captions: tags and tokens; and the ways to caption."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ..captions import frequency, reading
from .captions import CaptionSets, Selection
from .errors import DeskError


class CaptionStatistics:
    """Statistics of open folders. ``ready`` waits for the packages that the tokenizer needs."""

    def __init__(self, sets: CaptionSets, ready: Callable[[], None]) -> None:
        self._sets, self._ready = sets, ready

    def counts(self, selection: Selection) -> list[tuple[int, int]]:
        """Return (id, tokens) of each picture of a selection."""
        pictures = self._sets.select(selection)
        numbers = self._sets.count_tokens([picture.caption for picture in pictures])
        return [(picture.id, number) for picture, number in zip(pictures, numbers, strict=True)]

    def tags(self, selection: Selection, trigger: str, most: int, order: str) -> dict[str, Any]:
        """Count the tags of a selection's captions: at most ``most``, in the ``order`` of count, tag or position.

        Raises DeskError for another order.
        """
        captions = tuple(picture.caption for picture in self._sets.select(selection))
        table = _count_tags(captions, trigger)
        rows = list(table.tags)
        if order == "tag":
            rows.sort(key=lambda row: row.tag.lower())
        elif order == "position":
            rows.sort(key=lambda row: (row.position, -row.count))
        elif order != "count":
            raise DeskError("Tags can be ordered by count, tag or position.")
        return {
            "captions": table.captions,
            "total": len(rows),
            "tags": [
                {
                    "tag": row.tag,
                    "count": row.count,
                    "share": row.count / table.captions,
                    "position": round(row.position, 2),
                    "with_trigger": row.with_trigger / row.count if trigger.strip() else None,
                    "fused": row.fused,
                    "variants": row.variants[:10],
                }
                for row in rows[:most]
            ],
            "text": table.text,
        }

    def tokens(self, folder: str, opened: str, id: int | None, text: str | None, trigger: str = "") -> dict[str, Any]:
        """Show how the model reads a picture's caption, or a text that is being written."""
        found = self._sets.get(folder, opened)
        self._ready()
        read = reading.read(found.picture(id).caption if id is not None else text or "", trigger)
        return {
            "count": read.count,
            "chunks": [[{"text": p.text, "part": p.part, "word_end": p.word_end} for p in c] for c in read.chunks],
            "parts": [{"text": p.text, "tokens": p.tokens, "share": p.share, "chunk": p.chunk} for p in read.parts],
            "words": [{"text": w.text, "tokens": w.tokens, "share": w.share, "part": w.part} for w in read.words],
            "budget": read.budget,
            "cut": read.cut,
            "strategy": read.strategy,
            "advice": read.advice,
        }


@lru_cache(maxsize=4)
def _count_tags(captions: tuple[str, ...], trigger: str) -> frequency.TagCounts:
    """Count as ``frequency.count_tags`` does; a page asks again whenever it is shown."""
    return frequency.count_tags(captions, trigger)


def strategies() -> list[dict[str, Any]]:
    """List the ways to caption, and the effect of each on training."""
    return [{"name": name, "label": label, "text": text} for name, (label, text) in reading.STRATEGIES.items()]
