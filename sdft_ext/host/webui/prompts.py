"""Puts saves into prompts, swaps and removes them: ``<lora:NAME:WEIGHT>``, ``<hypernet:NAME:WEIGHT>``, an embedding's
NAME.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

SAVE_AXIS, WEIGHT_AXIS = "[Fine-tune] Save", "[Fine-tune] Weight"
"""Labels of the axes of the X/Y/Z plot."""
NONE = "none"
"""The value of the save axis that stands for the base model."""
Kind = Literal["lora", "hypernet", "embedding"]
"""How a prompt calls a save."""
Kinds = Mapping[str, Kind]
"""Name of a save → its kind; LoRAs needn't be in it."""
_NONE: Kinds = {}
Words = Mapping[str, Sequence[str]]
"""Name of a save that is an embedding → the names of its words' files in order, the first being its own."""
_NO_WORDS: Words = {}


def tag(name: str, weight: float | str = 1.0, kind: Kind = "lora") -> str:
    """Write what calls a save. An embedding is a word, emphasized where the weight isn't 1."""
    text = weight if isinstance(weight, str) else format(weight, "g")
    if kind == "embedding":
        return name if text == "1" else f"({name}:{text})"
    return f"<{kind}:{name}:{text}>"


def with_save(
    prompt: str,
    save: str,
    ours: Collection[str],
    weight: str = "",
    kinds: Kinds = _NONE,
    words: Words = _NO_WORDS,
    trained: Sequence[str] = (),
) -> str:
    """Put this save into the prompt in place of whichever of ``ours`` it has; "none" removes them.

    A prompt that has none gets the save at its end, with ``weight``; a tag that is replaced keeps its weight. Of a save
    with several words, each replaces the same word of another save, or the word as it was ``trained``.
    """
    number = {word: place for names in (*words.values(), trained) for place, word in enumerate(names)}
    names, kinds = {*ours, *number}, {**kinds, **dict.fromkeys(number, "embedding")}
    if save == NONE:
        return _tidy(_replaced(prompt, names, kinds, lambda name, weight: ""))
    kind, calls = kinds.get(save, "lora"), words.get(save, (save,))

    def all_of_it(weight: str) -> str:
        return " ".join(tag(call, weight, kind) for call in calls)

    if _replaced(prompt, names, kinds, lambda name, weight: "\0") == prompt:
        return f"{prompt} {all_of_it(weight or '1')}".strip()
    put: dict[int, str] = {}
    """The number of each word of the save → the name that it replaced; -1: all of them."""

    def swapped(name: str, own: str) -> str:
        place = number.get(name, 0)
        text = own or (weight if name in trained else "") or "1"
        if kind != "embedding" or kinds.get(name, "lora") != "embedding":
            if put:
                return ""
            put[-1] = name
            return all_of_it(text)
        if -1 in put or place >= len(calls) or put.setdefault(place, name) != name:
            return ""
        return tag(calls[place], text, kind)

    return _tidy(_replaced(prompt, names, kinds, swapped))


def with_weight(
    prompt: str, weight: float, ours: Collection[str], kinds: Kinds = _NONE, words: Words = _NO_WORDS
) -> str:
    """Set this weight at each of ``ours`` that the prompt has."""
    extra = {word for names in words.values() for word in names}
    names, kinds = {*ours, *extra}, {**kinds, **dict.fromkeys(extra, "embedding")}
    return _replaced(prompt, names, kinds, lambda name, _: tag(name, weight, kinds.get(name, "lora")))


def _replaced(prompt: str, ours: Collection[str], kinds: Kinds, new: Callable[[str, str], str]) -> str:
    """Replace each of ``ours`` in the prompt by ``new(name, weight)``; a missing weight is ""."""
    words = sorted((name for name in ours if kinds.get(name) == "embedding"), key=len, reverse=True)
    parts = [r"<(?P<kind>lora|hypernet):(?P<tagged>[^:<>]+)(?::(?P<weight>[^<>]*))?>"]
    if words:
        any_word = "|".join(map(re.escape, words))
        parts.append(rf"\((?P<weighed>{any_word}):(?P<emphasis>[\d.]+)\)|(?<![\w-])(?P<word>{any_word})(?![\w-])")

    def found(match: re.Match[str]) -> str:
        parts = match.groupdict()
        if match["tagged"]:
            mine = match["tagged"] in ours and kinds.get(match["tagged"], "lora") == match["kind"]
            return new(match["tagged"], match["weight"] or "") if mine else match[0]
        if parts["weighed"]:
            return new(parts["weighed"], parts["emphasis"])
        return new(parts["word"], "")

    return re.sub("|".join(parts), found, prompt)


def _tidy(prompt: str) -> str:
    return re.sub(r" {2,}", " ", prompt).strip()
