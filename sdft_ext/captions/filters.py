"""Filter pictures by a tree of conditions, as docs/api.md describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import regex
from .choices import SOURCES
from .entries import Picture
from .errors import CaptionsError
from .tag_names import normalize, tag_set

MAX_DEPTH = 20
MAX_PARTS = 200
MAX_EXPRESSIONS = 8
MAX_TEXT = 10_000
"""Characters of a text to look for."""

STATES = ("saved", "changed", "conflict", "locked")


@dataclass
class FilterContext:
    """What some conditions need: a token counter, and ids of pictures that are duplicates of others.

    ``parts`` and ``expressions`` count what a filter has used so far.
    """

    tokens: Callable[[Sequence[str]], list[int]] | None = None
    copies: frozenset[int] | None = None
    parts: int = field(default=0)
    expressions: int = field(default=0)


def filter_pictures(tree: Any, pictures: Sequence[Picture], context: FilterContext | None = None) -> list[Picture]:
    """Return the pictures that pass. Raises CaptionsError where the tree is no filter, or asks for what isn't known."""
    if tree is None or tree == {}:
        return list(pictures)
    passed = _passed(tree, pictures, context or FilterContext(), 0)
    return [picture for picture, through in zip(pictures, passed, strict=True) if through]


def _passed(tree: Any, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    context.parts += 1
    if depth > MAX_DEPTH or context.parts > MAX_PARTS:
        raise CaptionsError(f"The filter has more than {MAX_PARTS} parts, or {MAX_DEPTH} nested levels; use fewer.")
    if not isinstance(tree, Mapping):
        raise CaptionsError('A filter is an object with one condition, such as {"tag": "dog"}.')
    conditions = [key for key in tree if key != "case"]
    if len(conditions) != 1 or conditions[0] not in _CONDITIONS:
        raise CaptionsError(
            f"A filter has one condition of {', '.join(_CONDITIONS)}, not {', '.join(map(str, conditions)) or 'none'}."
        )
    kind = conditions[0]
    return _CONDITIONS[kind](tree[kind], bool(tree.get("case", False)), pictures, context, depth)


def _all(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    passed = [True] * len(pictures)
    for part in _listed(value):
        passed = [a and b for a, b in zip(passed, _passed(part, pictures, context, depth + 1), strict=True)]
    return passed


def _any(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    passed = [False] * len(pictures)
    for part in _listed(value):
        passed = [a or b for a, b in zip(passed, _passed(part, pictures, context, depth + 1), strict=True)]
    return passed


def _not(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    return [not passed for passed in _passed(value, pictures, context, depth + 1)]


def _tag(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    wanted = _text("tag", value)
    if case:
        exact = " ".join(wanted.split())
        return [exact in {" ".join(t.split()) for t in picture.caption.split(",")} for picture in pictures]
    wanted = normalize(wanted)
    return [wanted in tag_set(picture.caption) for picture in pictures]


def _part(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    wanted = _text("text", value)
    if case:
        return [wanted in picture.caption for picture in pictures]
    wanted = wanted.lower()
    return [wanted in picture.caption.lower() for picture in pictures]


def _regex(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    context.expressions += 1
    if context.expressions > MAX_EXPRESSIONS:
        raise CaptionsError(f"The filter has more than {MAX_EXPRESSIONS} regular expressions; use fewer.")
    return regex.matches(_text("regex", value), [picture.caption for picture in pictures], case)


def _tokens(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    if not isinstance(value, Mapping) or not set(value) <= {"least", "most"} or context.tokens is None:
        raise CaptionsError('The filter tokens takes {"least": number, "most": number}.')
    least, most = value.get("least") or 0, value.get("most")
    if not all(isinstance(n, int) for n in (least, most) if n is not None):
        raise CaptionsError("The filter tokens takes whole numbers.")
    counts = context.tokens([picture.caption for picture in pictures])
    return [count >= least and (most is None or count <= most) for count in counts]


def _empty(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    return [(not picture.caption.strip()) == bool(value) for picture in pictures]


def _concept(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    return [picture.concept == value for picture in pictures]


def _source(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    wanted = _one_of("source", value, SOURCES)
    return [picture.entry.source == wanted for picture in pictures]


def _state(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    wanted = _one_of("state", value, STATES)
    return [picture.entry.state == wanted for picture in pictures]


def _copies(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    if context.copies is None:
        raise CaptionsError("The duplicates among the pictures aren't known yet; search for them first.")
    return [(picture.id in context.copies) == bool(value) for picture in pictures]


def _ids(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
    wanted = {id for id in _listed(value) if isinstance(id, int)}
    return [picture.id in wanted for picture in pictures]


def _name(value: Any, case: bool, pictures: Sequence[Picture], context: FilterContext, depth: int) -> list[bool]:
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
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise CaptionsError(f"The filter {kind} takes a text of at most {MAX_TEXT:,} characters.")
    return value


def _one_of(kind: str, value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise CaptionsError(f"The filter {kind} takes one of {', '.join(allowed)}.")
    return str(value)
