"""The tags of many captions: how often, where, and whether together with the trigger."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..dataset.captions import tags
from .tag_names import normalize

FEWEST = 2
"""Captions below which nothing is said to be in all of them."""
LISTED = 3


@dataclass
class Tag:
    """``count`` captions hold it; ``position`` is its mean place in them (1 is the first); ``with_trigger`` of them hold the
    trigger too. ``fused``: it stands in all captions, so what it names is learned with the concept."""

    tag: str
    count: int = 0
    position: float = 0.0
    with_trigger: int = 0
    fused: bool = False
    variants: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TagCounts:
    """``captions`` have words; ``tags`` the most frequent first; ``text`` says what is fused."""

    captions: int
    tags: list[Tag]
    text: str


def count_tags(captions: Sequence[str], trigger: str = "") -> TagCounts:
    """Of captions; the spelling of a tag that is used most stands for its other ones."""
    wanted = normalize(trigger)
    holds = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)") if wanted else None
    spelled: dict[str, Counter[str]] = {}
    places: Counter[str] = Counter()
    count: Counter[str] = Counter()
    together: Counter[str] = Counter()
    worded = 0
    for caption in captions:
        found = tags(caption)
        if not found:
            continue
        worded += 1
        has_trigger = holds is not None and holds.search(normalize(caption)) is not None
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
        fused = number == worded and worded >= FEWEST
        rows.append(Tag(forms[0], number, places[key] / number, together[key], fused, forms[1:]))
    own = [row for row in rows if row.fused and not (holds is not None and holds.search(normalize(row.tag)))]
    return TagCounts(worded, rows, _told([row.tag for row in own], worded))


def common_start(captions: Sequence[str]) -> str:
    """The words that all captions begin with, if there are any: most likely the trigger. At most four of them."""
    starts = [caption.split(",")[0].split() for caption in captions if caption.strip()]
    if len(starts) < FEWEST:
        return ""
    shared = []
    for words in zip(*starts, strict=False):
        if len({word.lower() for word in words}) > 1:
            break
        shared.append(words[0])
    if 0 < len(shared) <= 4 and " ".join(shared).lower() not in ("a", "an", "the"):
        return " ".join(shared)
    return ""


def _told(fused: Sequence[str], worded: int) -> str:
    if not fused:
        return ""
    named = ", ".join(repr(tag) for tag in fused[:LISTED]) + (
        f" and {len(fused) - LISTED} more" if len(fused) > LISTED else ""
    )
    return (
        f"{named} {'stands' if len(fused) == 1 else 'stand'} in all {worded:,} captions: what {'it names' if len(fused) == 1 else 'they name'} "
        "is learned with the concept and can't be told from the trigger. Take it out where it belongs to the concept; "
        "where it doesn't, add pictures without it."
    )
