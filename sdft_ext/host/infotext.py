"""Saves as text that the WebUI's paste button takes: a prompt with a save in it, or a grid that compares saves."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..recipe import FULL, Recipe
from .base import Destination, HostError
from .prompts import SAVE_AXIS, WEIGHT_AXIS, Kind, tag

NOTHING = "Nothing"
KINDS: dict[str, Kind] = {"textual_inversion": "embedding", "hypernetwork": "hypernet"}
"""How a prompt calls the saves of methods that aren't LoRAs."""


def infotext(
    to: Destination,
    recipe: Recipe,
    saves: Sequence[str],
    weights: Sequence[float] = (),
    prompts: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> str:
    """The prompt, the negative prompt, and a line of settings, in the WebUI's own format.

    For ``txt2img`` the last save at the first weight. For ``xyz`` the saves, "none" the first of them, across; down,
    the prompts where there are several, else the weights. ``settings`` are the user's own, told so that they stay.
    """
    if not saves:
        raise HostError("This run has no save yet: press Save now, or wait for the first.")
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
    whole = recipe.method.files in FULL
    if whole and to == "txt2img":
        raise HostError(
            f"{saves[-1]} is a whole model: choose it at the top of the page, as the Stable Diffusion checkpoint."
        )
    if to == "xyz":
        across = ("Checkpoint name", [Path(recipe.model.base).stem, *saves]) if whole else (SAVE_AXIS, ["none", *saves])
        values |= {"Script": "X/Y/Z plot", **_axis("X", *across)}
        if len(chosen) > 1:
            values |= _axis("Y", "Prompt S/R", chosen)
        elif len(weights) > 1 and not whole:
            values |= _axis("Y", WEIGHT_AXIS, [f"{value:g}" for value in weights])
        else:
            values |= _axis("Y", NOTHING, [])
        values |= _axis("Z", NOTHING, [])
    lines = [chosen[0] if whole else _called(recipe, chosen[0], saves[-1], weight)]
    if watch.negative:
        lines.append(f"Negative prompt: {watch.negative}")
    return "\n".join([*lines, ", ".join(f"{name}: {_quoted(value)}" for name, value in values.items())])


def _called(recipe: Recipe, prompt: str, save: str, weight: float) -> str:
    """The prompt with the save in it: an embedding's name in the trigger's place, the others' tag at the end."""
    called, word = call(recipe, save, weight), replaced(recipe)
    place = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    if word and place.search(prompt):
        return place.sub(lambda _: called, prompt)
    return f"{prompt} {called}".strip()


def call(recipe: Recipe, save: str, weight: float = 1.0) -> str:
    """What calls a save of this recipe's method in a prompt."""
    return tag(save, weight, KINDS.get(recipe.method.name, "lora"))


def replaced(recipe: Recipe) -> str:
    """The trained word whose place an embedding's name takes; empty for the methods whose tag stands beside the words."""
    if KINDS.get(recipe.method.name) != "embedding":
        return ""
    words = [word for word in recipe.method.embedding.words if word.strip()]
    return (words or [recipe.dataset.concepts[0].trigger])[0].strip()


def _first(recipe: Recipe) -> str:
    """What calls the concept."""
    if recipe.watch.concept_prompts:
        return recipe.watch.concept_prompts[0]
    concept = recipe.dataset.concepts[0]
    return f"{concept.trigger} {concept.class_word}".strip()


def _axis(letter: str, kind: str, values: Sequence[str]) -> dict[str, str]:
    """An axis; the values of an empty one are a blank, which takes an earlier grid's away."""
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return {f"{letter} Type": kind, f"{letter} Values": line.getvalue().strip() or " "}


def _quoted(value: str) -> str:
    """As the WebUI quotes: JSON where the value holds what separates values."""
    plain = not any(mark in value for mark in ",\n:") and value == value.strip() and value[:1] != '"'
    return value if plain else json.dumps(value, ensure_ascii=False)
