"""Saves in prompts, put in, swapped and taken out: ``<lora:NAME:WEIGHT>``, ``<hypernet:NAME:WEIGHT>``, an embedding's NAME."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Literal

SAVE_AXIS, WEIGHT_AXIS = "[Fine-tune] Save", "[Fine-tune] Weight"
"""Labels of the axes of the X/Y/Z plot."""
NONE = "none"
"""The value of the save axis that stands for the base model."""
Kind = Literal["lora", "hypernet", "embedding"]
"""How a prompt calls a save."""
Kinds = Mapping[str, Kind]
"""Name of a save → its kind; names that aren't in it are LoRAs'."""
_NONE: Kinds = {}


def tag(name: str, weight: float | str = 1.0, kind: Kind = "lora") -> str:
    """What calls a save. An embedding is a word, at another weight an emphasized one."""
    told = weight if isinstance(weight, str) else format(weight, "g")
    if kind == "embedding":
        return name if told == "1" else f"({name}:{told})"
    return f"<{kind}:{name}:{told}>"


def with_save(prompt: str, save: str, ours: Collection[str], weight: str = "", kinds: Kinds = _NONE) -> str:
    """The prompt with this save in place of whichever of ``ours`` it has; "none" takes them out.

    A prompt without any gets the save at its end. ``weight`` is used there; a tag that is swapped keeps its own.
    """
    if save == NONE:
        return _tidy(_replaced(prompt, ours, kinds, lambda name, weight: ""))
    if _replaced(prompt, ours, kinds, lambda name, weight: "\0") == prompt:
        return f"{prompt} {tag(save, weight or '1', kinds.get(save, 'lora'))}".strip()
    places = iter(range(len(prompt)))

    def first(name: str, weight: str) -> str:
        return tag(save, weight or "1", kinds.get(save, "lora")) if next(places) == 0 else ""

    return _tidy(_replaced(prompt, ours, kinds, first))


def with_weight(prompt: str, weight: float, ours: Collection[str], kinds: Kinds = _NONE) -> str:
    """The prompt with this weight at each of ``ours`` that it has."""
    return _replaced(prompt, ours, kinds, lambda name, _: tag(name, weight, kinds.get(name, "lora")))


def _replaced(prompt: str, ours: Collection[str], kinds: Kinds, new: Callable[[str, str], str]) -> str:
    """Each of ``ours`` in the prompt replaced by ``new(name, weight)``; no weight is ""."""
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
