"""Writes text that the WebUI's paste button takes: a prompt with a save in it, or a grid that compares saves."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...method.token_vectors import in_file_name, words_of
from ...recipe import FULL, METHOD_INFO, WORDS, Recipe
from ..base import Destination, HostError
from .prompts import SAVE_AXIS, WEIGHT_AXIS, Kind, tag

NOTHING = "Nothing"
KINDS: dict[str, Kind] = {"embedding": "embedding", "hypernetwork": "hypernet"}
"""Kind of saved file → how a prompt calls it, where it isn't a LoRA."""


def infotext(
    to: Destination,
    recipe: Recipe,
    saves: Sequence[str],
    weights: Sequence[float] = (),
    prompts: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> str:
    """Write the prompt, the negative prompt, and a line of settings, in the WebUI's own format.

    ``txt2img``: the last save at the first weight (a whole model isn't part of the prompt: it is chosen separately).
    ``xyz``: across, the saves, "none" the first of them; down, the prompts where there are several, else the weights.
    (With embeddings, the prompts are across: they are put in first, and then the saves replace their words.)
    ``settings`` are the user's own, repeated so that they stay. Without ``prompts``, it is the first control prompt
    with all that the run trained on. Raises HostError where there is no save.
    """
    if not saves:
        raise HostError("This run has no save yet: press Save now, or wait for the first one.")
    watch, chosen = recipe.watch, [prompt for prompt in prompts if prompt.strip()] or [_first(recipe)]
    weight = weights[0] if weights and to == "txt2img" else 1.0
    side = max((watch.size or recipe.dataset.resolution) // 8 * 8, 64)
    values: dict[str, str] = {
        "Steps": str(watch.sampler_steps),
        "Sampler": "DDIM",
        "Schedule type": "Automatic",
        "CFG scale": f"{watch.guidance:g}",
        "Seed": str(watch.seed),
        "Size": f"{side}x{side}",
        **(settings or {}),
    }
    whole, embedding = recipe.method.files in FULL, _kind(recipe) == "embedding"
    if to == "xyz":
        across = ("Checkpoint name", [Path(recipe.model.base).stem, *saves]) if whole else (SAVE_AXIS, ["none", *saves])
        values |= {"Script": "X/Y/Z plot", **_axis("X", *across)}
        if len(chosen) > 1 and embedding:
            values |= _axis("X", "Prompt S/R", chosen) | _axis("Y", *across)
        elif len(chosen) > 1:
            values |= _axis("Y", "Prompt S/R", chosen)
        elif len(weights) > 1 and not whole:
            values |= _axis("Y", WEIGHT_AXIS, [f"{value:g}" for value in weights])
        else:
            values |= _axis("Y", NOTHING, [])
        values |= _axis("Z", NOTHING, [])
    as_it_is = whole or (to == "xyz" and embedding and len(chosen) > 1)
    lines = [chosen[0] if as_it_is else _called(recipe, chosen[0], saves[-1], weight)]
    if watch.negative:
        lines.append(f"Negative prompt: {watch.negative}")
    return "\n".join([*lines, ", ".join(f"{name}: {_quoted(value)}" for name, value in values.items())])


def _called(recipe: Recipe, prompt: str, save: str, weight: float) -> str:
    """Put the save into the prompt: embeddings' names in place of their words, the tag of other kinds at the end."""
    calls = {word.casefold(): call for word, call in called(recipe, save, weight).items()}
    any_word = "|".join(re.escape(word) for word in sorted(calls, key=len, reverse=True))
    place = re.compile(rf"(?<!\w)(?:{any_word})(?!\w)", re.IGNORECASE)
    if any_word and place.search(prompt):
        return place.sub(lambda found: calls[found[0].casefold()], prompt)
    return " ".join([prompt, *(calls.values() or [call(recipe, save, weight)])]).strip()


def call(recipe: Recipe, save: str, weight: float = 1.0) -> str:
    """Write what calls a save of this recipe's method in a prompt."""
    return tag(save, weight, _kind(recipe))


def called(recipe: Recipe, save: str, weight: float = 1.0) -> dict[str, str]:
    """Map each trained word to what calls it in a save: the name of its file, which for the first word is the save's.

    Empty for methods whose tag is separate from the words.
    """
    if _kind(recipe) != "embedding":
        return {}
    names = {word: f"{save}-{in_file_name(word)}" if place else save for place, word in enumerate(words_of(recipe))}
    return {word: tag(name, weight, "embedding") for word, name in names.items()}


def _kind(recipe: Recipe) -> Kind:
    """Tell how a prompt calls the saves of a recipe's method."""
    return KINDS.get(METHOD_INFO[recipe.method.name].saved_as, "lora")


def _first(recipe: Recipe) -> str:
    """Write a prompt for all that the run trained on: the first control prompt, and each concept and word that it
    lacks.
    """
    phrases = {one.trigger.strip(): f"{one.trigger} {one.class_word}".strip() for one in recipe.dataset.concepts}
    if recipe.method.name in WORDS:
        phrases |= {word: word for word in words_of(recipe) if word not in phrases}
    found = recipe.watch.concept_prompts[:1] or [phrases.pop(next(iter(phrases)))]
    for word, phrase in phrases.items():
        if word and not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", ", ".join(found), re.IGNORECASE):
            found.append(phrase)
    return ", ".join(found)


def _axis(letter: str, kind: str, values: Sequence[str]) -> dict[str, str]:
    """Write an axis; the values of an empty one are a blank, which clears an earlier grid's."""
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return {f"{letter} Type": kind, f"{letter} Values": line.getvalue().strip() or " "}


def _quoted(value: str) -> str:
    """Quote as the WebUI does: as JSON where the value contains a separator."""
    plain = not any(mark in value for mark in ",\n:") and value == value.strip() and value[:1] != '"'
    return value if plain else json.dumps(value, ensure_ascii=False)
