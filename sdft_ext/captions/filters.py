"""Which pictures: a tree of conditions, as docs/api.md describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import regex
from .choices import SOURCES
from .entries import Picture
from .errors import CaptionsError
from .tag_names import normalize, tag_set

DEEPEST = 20
MOST_PARTS = 200
MOST_EXPRESSIONS = 8
LONGEST = 10_000
"""Characters of a text to look for."""

STATES = ("saved", "changed", "conflict", "locked")


@dataclass
class FilterContext:
    """What some conditions need: token counts of captions, and ids of pictures that are copies of others."""

    tokens: Callable[[Sequence[str]], list[int]] | None = None
    copies: frozenset[int] | None = None
    parts: int = field(default=0)
    expressions: int = field(default=0)


def filter_pictures(tree: Any, pictures: Sequence[Picture], around: FilterContext | None = None) -> list[Picture]:
    """Those of the pictures that pass. Raises CaptionsError where the tree is no filter, or asks for what isn't known."""
    if tree is None or tree == {}:
        return list(pictures)
    passed = _passed(tree, pictures, around or FilterContext(), 0)
    return [picture for picture, through in zip(pictures, passed, strict=True) if through]


def _passed(tree: Any, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    around.parts += 1
    if depth > DEEPEST or around.parts > MOST_PARTS:
        raise CaptionsError(f"The filter has more than {MOST_PARTS} parts, or {DEEPEST} within each other; use fewer.")
    if not isinstance(tree, Mapping):
        raise CaptionsError('A filter is an object with one condition, such as {"tag": "dog"}.')
    conditions = [key for key in tree if key != "case"]
    if len(conditions) != 1 or conditions[0] not in _CONDITIONS:
        raise CaptionsError(
            f"A filter has one condition of {', '.join(_CONDITIONS)}, not {', '.join(map(str, conditions)) or 'none'}."
        )
    kind = conditions[0]
    return _CONDITIONS[kind](tree[kind], bool(tree.get("case", False)), pictures, around, depth)


def _all(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    passed = [True] * len(pictures)
    for part in _listed(value):
        passed = [a and b for a, b in zip(passed, _passed(part, pictures, around, depth + 1), strict=True)]
    return passed


def _any(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    passed = [False] * len(pictures)
    for part in _listed(value):
        passed = [a or b for a, b in zip(passed, _passed(part, pictures, around, depth + 1), strict=True)]
    return passed


def _not(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    return [not passed for passed in _passed(value, pictures, around, depth + 1)]


def _tag(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    wanted = _text("tag", value)
    if case:
        exact = " ".join(wanted.split())
        return [exact in {" ".join(t.split()) for t in picture.caption.split(",")} for picture in pictures]
    wanted = normalize(wanted)
    return [wanted in tag_set(picture.caption) for picture in pictures]


def _part(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    wanted = _text("text", value)
    if case:
        return [wanted in picture.caption for picture in pictures]
    wanted = wanted.lower()
    return [wanted in picture.caption.lower() for picture in pictures]


def _regex(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    around.expressions += 1
    if around.expressions > MOST_EXPRESSIONS:
        raise CaptionsError(f"The filter has more than {MOST_EXPRESSIONS} regular expressions; use fewer.")
    return regex.matches(_text("regex", value), [picture.caption for picture in pictures], case)


def _tokens(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    if not isinstance(value, Mapping) or not set(value) <= {"least", "most"} or around.tokens is None:
        raise CaptionsError('The filter tokens takes {"least": number, "most": number}.')
    least, most = value.get("least") or 0, value.get("most")
    if not all(isinstance(n, int) for n in (least, most) if n is not None):
        raise CaptionsError("The filter tokens takes whole numbers.")
    counts = around.tokens([picture.caption for picture in pictures])
    return [count >= least and (most is None or count <= most) for count in counts]


def _empty(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    return [(not picture.caption.strip()) == bool(value) for picture in pictures]


def _concept(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    return [picture.concept == value for picture in pictures]


def _source(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    wanted = _one_of("source", value, SOURCES)
    return [picture.entry.source == wanted for picture in pictures]


def _state(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    wanted = _one_of("state", value, STATES)
    return [picture.entry.state == wanted for picture in pictures]


def _copies(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    if around.copies is None:
        raise CaptionsError("The copies among the pictures aren't known yet; look for them first.")
    return [(picture.id in around.copies) == bool(value) for picture in pictures]


def _ids(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    wanted = {id for id in _listed(value) if isinstance(id, int)}
    return [picture.id in wanted for picture in pictures]


def _name(value: Any, case: bool, pictures: Sequence[Picture], around: FilterContext, depth: int) -> list[bool]:
    wanted = _text("name", value).lower()
    return [wanted in picture.name.lower() for picture in pictures]


_Condition = Callable[[Any, bool, Sequence[Picture], FilterContext, int], list[bool]]
_CONDITIONS: dict[str, _Condition] = {
    "all": _all,
    "any": _any,
    "not": _not,
    "tag": _tag,
    "text": _part,
    "regex": _regex,
    "tokens": _tokens,
    "empty": _empty,
    "concept": _concept,
    "source": _source,
    "state": _state,
    "copies": _copies,
    "ids": _ids,
    "name": _name,
}


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise CaptionsError("The filters all, any and ids take a list.")
    return value


def _text(kind: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise CaptionsError(f"The filter {kind} takes a text of at most {LONGEST:,} characters.")
    return value


def _one_of(kind: str, value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise CaptionsError(f"The filter {kind} takes one of {', '.join(allowed)}.")
    return str(value)
