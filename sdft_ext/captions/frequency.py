"""Count the tags of many captions: how often, where, and how often together with the trigger."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..dataset.captions import tags
from .tag_names import normalize

MIN_CAPTIONS = 2
"""With fewer, no tag is reported as being in all of them."""
LISTED = 3
"""Tags named in a sentence."""


@dataclass
class Tag:
    """A tag that ``count`` captions contain, ``with_trigger`` of them together with the trigger.

    ``position`` is its mean place (1 is the first). ``fused``: it is in all captions, so what it names is learned with
    the concept. ``variants`` are its other spellings.
    """

    tag: str
    count: int = 0
    position: float = 0.0
    with_trigger: int = 0
    fused: bool = False
    variants: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TagCounts:
    """``captions`` that aren't empty; ``tags``, the most frequent first; ``text`` says which are fused."""

    captions: int
    tags: list[Tag]
    text: str


def count_tags(captions: Sequence[str], trigger: str = "") -> TagCounts:
    """Count the tags of captions; each goes by its most frequent spelling."""
    wanted = normalize(trigger)
    contains = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)") if wanted else None
    spelled: dict[str, Counter[str]] = {}
    places: Counter[str] = Counter()
    count: Counter[str] = Counter()
    together: Counter[str] = Counter()
    filled = 0
    for caption in captions:
        found = tags(caption)
        if not found:
            continue
        filled += 1
        has_trigger = contains is not None and contains.search(normalize(caption)) is not None
        seen: set[str] = set()
        for place, tag in enumerate(found, 1):
            key = normalize(tag)
            if key in seen:
                continue
            seen.add(key)
            spelled.setdefault(key, Counter())[" ".join(tag.split())] += 1
            places[key] += place
            count[key] += 1
            together[key] += has_trigger
    rows = []
    for key, number in count.most_common():
        forms = [form for form, _ in spelled[key].most_common()]
        fused = number == filled and filled >= MIN_CAPTIONS
        rows.append(Tag(forms[0], number, places[key] / number, together[key], fused, forms[1:]))
    own = [row for row in rows if row.fused and not (contains is not None and contains.search(normalize(row.tag)))]
    return TagCounts(filled, rows, _fused_text([row.tag for row in own], filled))


def common_start(captions: Sequence[str]) -> str:
    """Return the one to four words that all captions begin with, most likely the trigger; else an empty text."""
    starts = [caption.split(",")[0].split() for caption in captions if caption.strip()]
    if len(starts) < MIN_CAPTIONS:
        return ""
    shared = []
    for words in zip(*starts, strict=False):
        if len({word.lower() for word in words}) > 1:
            break
        shared.append(words[0])
    if 0 < len(shared) <= 4 and " ".join(shared).lower() not in ("a", "an", "the"):
        return " ".join(shared)
    return ""


def _fused_text(fused: Sequence[str], filled: int) -> str:
    if not fused:
        return ""
    named = ", ".join(repr(tag) for tag in fused[:LISTED]) + (
        f" and {len(fused) - LISTED} more" if len(fused) > LISTED else ""
    )
    return (
        f"{named} {'is' if len(fused) == 1 else 'are'} in all {filled:,} captions: what "
        f"{'it names' if len(fused) == 1 else 'they name'} "
        "is learned under these words, not as part of the concept, and a prompt has to name it to get it. That is "
        "right unless it belongs to the concept: then remove it from the captions."
    )
