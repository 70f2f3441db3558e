"""What a tagger has seen, as a caption."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .base import Seen, TaggerError

FACES = re.compile(r"[^a-z]*[_^:;=<>|@()\-+.0-9oxuw]{2,5}[^a-z]*")
"""Tags such as ``^_^`` or ``o_o``, whose underscore is a part of a drawing."""
_BRACKET = re.compile(r"(?<!\\)([()])")


@dataclass(frozen=True)
class Choice:
    """``threshold`` and ``character_threshold``: least scores. ``blacklist``: tags that are left out. ``prefix`` stands
    first.

    ``spaces``: underscores become spaces. ``escape``: brackets get a backslash, as prompts need it. ``rating``: told
    too.
    """

    threshold: float = 0.35
    character_threshold: float = 0.85
    blacklist: tuple[str, ...] = ()
    prefix: str = ""
    spaces: bool = True
    escape: bool = False
    rating: bool = False

    def __post_init__(self) -> None:
        """Raises TaggerError."""
        for name, value in (("threshold", self.threshold), ("character threshold", self.character_threshold)):
            if not 0 <= value <= 1:
                raise TaggerError(f"The {name} {value} is out of range: choose one from 0 to 1.")


def caption(seen: Seen, choice: Choice) -> str:
    """Of one picture; the prefix alone, or nothing, where nothing is sure enough."""
    parts = [part.strip() for part in [choice.prefix.strip(" ,")] if part]
    if seen.sentence:
        parts.append(seen.sentence.strip())
    black = set(map(plain, choice.blacklist))
    known = {plain(part) for whole in parts for part in whole.split(",")}
    least = {"general": choice.threshold, "character": choice.character_threshold, "rating": 0.5}
    for tag in seen.tags:
        if tag.score < least[tag.kind] or (tag.kind == "rating" and not choice.rating):
            continue
        if plain(tag.name) in black or plain(tag.name) in known:
            continue
        known.add(plain(tag.name))
        parts.append(_written(tag.name, choice))
    return ", ".join(parts)


def plain(tag: str) -> str:
    """A tag as it is compared."""
    return " ".join(tag.replace("_", " ").replace("\\", "").lower().split())


def listed(text: str) -> tuple[str, ...]:
    """Tags of a list with commas or lines."""
    return tuple(part.strip() for part in re.split(r"[,\n]", text) if part.strip())


def appended(old: str, new: str) -> str:
    """The old caption with those of the new parts that it lacks."""
    if not old.strip():
        return new
    known = {plain(part) for part in old.split(",")}
    more: Iterable[str] = (part.strip() for part in new.split(","))
    return ", ".join([old.strip(" ,"), *(part for part in more if part and plain(part) not in known)])


def _written(name: str, choice: Choice) -> str:
    word = name.replace("_", " ") if choice.spaces and not FACES.fullmatch(name) else name
    return _BRACKET.sub(r"\\\1", word) if choice.escape else word
