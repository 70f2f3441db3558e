"""Edit captions: each edit is a pure function of texts, made from an edit spec of the page or the command line
(docs/api.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..dataset.captions import tags
from . import regex
from .errors import CaptionsError
from .tag_names import normalize

MAX_TEXT = 65_536
MAX_TAGS = 200
_FACE = re.compile(r"[^\s]_[^\s]")
_FACES = frozenset({"(o)_(o)", "<o>_<o>", "<|>_<|>", "||_||", "._.", ":_:"})
_BRACKET = re.compile(r"(?<!\\)(\\*)([()\[\]])")

Texts = list[str | None]
"""New captions; None where one stays exactly as it is."""


@dataclass(frozen=True)
class Edit:
    """``what`` it does, as a phrase for undo; ``apply`` returns the new texts of captions."""

    what: str
    apply: Callable[[Sequence[str]], Texts]


def parse_edit(edit_spec: Mapping[str, Any]) -> Edit:
    """Make the edit that a spec describes. Raises CaptionsError where it is unknown, or lacks something."""
    do = edit_spec.get("do")
    if not isinstance(do, str) or do not in _EDITS:
        raise CaptionsError(f"There is no edit {str(do)[:40]!r}; use one of {', '.join(_EDITS)}.")
    make, allowed = _EDITS[do]
    other = sorted(set(edit_spec) - {"do", *allowed})
    if other:
        raise CaptionsError(
            f"The edit {do} takes {', '.join(allowed) or 'nothing else'}, not {', '.join(map(str, other))}."
        )
    return make(edit_spec)


def _set(edit_spec: Mapping[str, Any]) -> Edit:
    text = _text(edit_spec, "text")
    return Edit("new text", lambda texts: [text] * len(texts))


def _clear(edit_spec: Mapping[str, Any]) -> Edit:
    return Edit("clear the text", lambda texts: [""] * len(texts))


def _add(edit_spec: Mapping[str, Any]) -> Edit:
    new = _tags(edit_spec)
    where = edit_spec.get("where", "back")
    if where not in ("front", "back") and (not isinstance(where, int) or isinstance(where, bool)):
        raise CaptionsError("An edit's where is front, back, or a whole number.")

    def one(found: list[str]) -> list[str]:
        there = {normalize(tag) for tag in found}
        missing = [tag for tag in new if normalize(tag) not in there]
        place = 0 if where == "front" else len(found) if where == "back" else where
        return [*found[:place], *missing, *found[place:]] if missing else found

    return Edit(f"add {_named(new)}", _each_list(one))


def _remove(edit_spec: Mapping[str, Any]) -> Edit:
    gone = {normalize(tag) for tag in _tags(edit_spec)}
    return Edit(
        f"remove {_named(_tags(edit_spec))}", _each_list(lambda found: [t for t in found if normalize(t) not in gone])
    )


def _rename(edit_spec: Mapping[str, Any]) -> Edit:
    old, new = normalize(_text(edit_spec, "tag")), " ".join(_text(edit_spec, "to").split())
    if not old:
        raise CaptionsError("The tag to rename is missing; type one.")
    if len(tags(new)) > 1:
        raise CaptionsError(f"{new[:60]!r} holds a comma, so it is several tags; remove the comma, or use replace.")

    def one(found: list[str]) -> list[str]:
        if all(normalize(tag) != old for tag in found):
            return found
        seen = False  # of several tags that read like the new one, the first stays
        made = []
        for tag in found:
            renamed = new if normalize(tag) == old else tag
            if normalize(renamed) == normalize(new):
                if seen:
                    continue
                seen = True
            if renamed:
                made.append(renamed)
        return made

    return Edit(f"rename {_short(old)} to {_short(new)}" if new else f"remove {_short(old)}", _each_list(one))


def _replace(edit_spec: Mapping[str, Any]) -> Edit:
    find, new = _text(edit_spec, "find"), _text(edit_spec, "with")
    if not find:
        raise CaptionsError("The text to replace is missing; type one.")
    literal = re.escape(find)
    if edit_spec.get("words"):
        literal = rf"(?<!\w){literal}(?!\w)"
    pattern = re.compile(literal, 0 if edit_spec.get("case") else re.IGNORECASE)
    return Edit(
        f"replace {_short(find)} with {_short(new)}",
        lambda texts: [_if_other(pattern.sub(lambda _: new, text), text) for text in texts],
    )


def _regex(edit_spec: Mapping[str, Any]) -> Edit:
    find, new = _text(edit_spec, "find"), _text(edit_spec, "with")
    case = bool(edit_spec.get("case"))
    return Edit(f"replace what matches {_short(find)}", lambda texts: regex.replace(find, new, texts, case))


def _sort(edit_spec: Mapping[str, Any]) -> Edit:
    keep = edit_spec.get("keep", 0)
    if not isinstance(keep, int) or keep < 0:
        raise CaptionsError("An edit's keep is the number of tags at the front that stay where they are.")
    return Edit("sort tags", _each_list(lambda found: [*found[:keep], *sorted(found[keep:], key=normalize)]))


def _unique(edit_spec: Mapping[str, Any]) -> Edit:
    def one(found: list[str]) -> list[str]:
        kept: dict[str, str] = {}
        for tag in found:
            kept.setdefault(normalize(tag), tag)
        return list(kept.values())

    return Edit("remove duplicate tags", _each_list(one))


def _trigger_first(edit_spec: Mapping[str, Any]) -> Edit:
    trigger = " ".join(_text(edit_spec, "trigger").split())
    if not trigger:
        raise CaptionsError("The concept has no trigger; type one.")
    if len(tags(trigger)) > 1:
        raise CaptionsError(f"{trigger[:60]!r} holds a comma, so it is several tags; type one of them.")
    wanted, add = normalize(trigger), bool(edit_spec.get("add"))

    def one(found: list[str]) -> list[str]:
        own = [tag for tag in found if normalize(tag) == wanted]
        if own:
            return [own[0], *(tag for tag in found if normalize(tag) != wanted)]
        containing = [tag for tag in found if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", normalize(tag))]
        if containing:  # "a photo of sks dog" contains it among other words: that part comes first
            first = found.index(containing[0])
            return [found[first], *found[:first], *found[first + 1 :]]
        return [trigger, *found] if add else found

    return Edit(f"{_short(trigger)} first", _each_list(one))


def _spaces(edit_spec: Mapping[str, Any]) -> Edit:
    def one(found: list[str]) -> list[str]:
        return [tag if _FACE.fullmatch(tag) or tag in _FACES else tag.replace("_", " ") for tag in found]

    return Edit("underscores to spaces", _each_list(one))


def _escape(edit_spec: Mapping[str, Any]) -> Edit:
    def bracket(match: re.Match[str]) -> str:
        return match[0] if len(match[1]) % 2 else f"{match[1]}\\{match[2]}"

    return Edit("escape brackets", lambda texts: [_if_other(_BRACKET.sub(bracket, text), text) for text in texts])


def _unescape(edit_spec: Mapping[str, Any]) -> Edit:
    def bracket(match: re.Match[str]) -> str:
        return match[1][:-1] + match[2] if len(match[1]) % 2 else match[0]

    return Edit("unescape brackets", lambda texts: [_if_other(_BRACKET.sub(bracket, text), text) for text in texts])


_EDITS: dict[str, tuple[Callable[[Mapping[str, Any]], Edit], tuple[str, ...]]] = {
    "set": (_set, ("text",)),
    "add": (_add, ("tags", "where")),
    "remove": (_remove, ("tags",)),
    "rename": (_rename, ("tag", "to")),
    "replace": (_replace, ("find", "with", "case", "words")),
    "regex": (_regex, ("find", "with", "case")),
    "sort": (_sort, ("keep",)),
    "unique": (_unique, ()),
    "trigger_first": (_trigger_first, ("trigger", "add")),
    "spaces": (_spaces, ()),
    "escape": (_escape, ()),
    "unescape": (_unescape, ()),
    "clear": (_clear, ()),
}
KINDS = tuple(_EDITS)


def _each_list(one: Callable[[list[str]], list[str]]) -> Callable[[Sequence[str]], Texts]:
    """Turn an edit of tags into one of texts: a caption whose tags stay the same keeps its spaces and line breaks."""

    def apply(texts: Sequence[str]) -> Texts:
        made: Texts = []
        for text in texts:
            found = tags(text)
            new = one(found)
            made.append(None if new == found else ", ".join(new))
        return made

    return apply


def _if_other(new: str, old: str) -> str | None:
    return None if new == old else new


def _text(edit_spec: Mapping[str, Any], key: str) -> str:
    value = edit_spec.get(key)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise CaptionsError(f"The edit {edit_spec.get('do')} needs {key}: a text of at most {MAX_TEXT:,} characters.")
    return value


def _tags(edit_spec: Mapping[str, Any]) -> list[str]:
    value = edit_spec.get("tags")
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise CaptionsError(f"The edit {edit_spec.get('do')} needs tags: a list of texts.")
    found = {normalize(tag): " ".join(tag.split()) for text in value for tag in tags(text)}
    if not found or len(found) > MAX_TAGS:
        raise CaptionsError(f"The edit {edit_spec.get('do')} needs 1 to {MAX_TAGS} tags.")
    return list(found.values())


def _named(found: Sequence[str]) -> str:
    return _short(found[0]) if len(found) == 1 else f"{len(found)} tags"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return f"'{text if len(text) <= 30 else f'{text[:29]}…'}'"
