"""Write captions from what a tagger found in a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .base import Seen, TaggerError

EMOTICON = re.compile(r"[^a-z]*[_^:;=<>|@()\-+.0-9oxuw]{2,5}[^a-z]*")
"""Tags such as ``^_^`` or ``o_o``, whose underscores stay."""
_BRACKET = re.compile(r"(?<!\\)([()])")


@dataclass(frozen=True)
class Choice:
    """How captions are written from tags.

    ``threshold`` and ``character_threshold``: the lowest scores, 0 to 1. ``blacklist``: tags to leave out. ``prefix``:
    what a caption begins with. ``spaces``: underscores become spaces. ``escape``: brackets get a backslash, as prompts
    need it. ``rating``: ratings are included.
    """

    threshold: float = 0.35
    character_threshold: float = 0.85
    blacklist: tuple[str, ...] = ()
    prefix: str = ""
    spaces: bool = True
    escape: bool = False
    rating: bool = False

    def __post_init__(self) -> None:
        """Raise TaggerError where a threshold is not from 0 to 1."""
        for name, value in (("threshold", self.threshold), ("character threshold", self.character_threshold)):
            if not 0 <= value <= 1:
                raise TaggerError(f"The {name} {value} is out of range: choose one from 0 to 1.")


def caption(seen: Seen, choice: Choice) -> str:
    """Write one picture's caption: the prefix, then the sentence or every tag that passes its threshold."""
    parts = [part.strip() for part in [choice.prefix.strip(" ,")] if part]
    if seen.sentence:
        parts.append(seen.sentence.strip())
    blacklist = set(map(plain, choice.blacklist))
    known = {plain(tag) for part in parts for tag in part.split(",")}
    thresholds = {"general": choice.threshold, "character": choice.character_threshold, "rating": 0.5}
    for tag in seen.tags:
        if tag.score < thresholds[tag.kind] or (tag.kind == "rating" and not choice.rating):
            continue
        if plain(tag.name) in blacklist or plain(tag.name) in known:
            continue
        known.add(plain(tag.name))
        parts.append(_written(tag.name, choice))
    return ", ".join(parts)


def plain(tag: str) -> str:
    """Return a tag in the form that tags are compared in: lower case, spaces, no backslashes."""
    return " ".join(tag.replace("_", " ").replace("\\", "").lower().split())


def listed(text: str) -> tuple[str, ...]:
    """Split a list of tags at commas and line breaks."""
    return tuple(part.strip() for part in re.split(r"[,\n]", text) if part.strip())


def appended(old: str, new: str) -> str:
    """Append to the old caption those tags of the new one that it lacks."""
    if not old.strip():
        return new
    known = {plain(part) for part in old.split(",")}
    added: Iterable[str] = (part.strip() for part in new.split(","))
    return ", ".join([old.strip(" ,"), *(part for part in added if part and plain(part) not in known)])


def _written(name: str, choice: Choice) -> str:
    tag = name.replace("_", " ") if choice.spaces and not EMOTICON.fullmatch(name) else name
    return _BRACKET.sub(r"\\\1", tag) if choice.escape else tag
