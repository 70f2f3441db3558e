"""What to change in a recipe that needs too much memory: single changes, and the gentlest ones that fit together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from ..out_of_memory import gigabytes, savings
from ..recipe import METHOD_INFO, Recipe

WORTH_IT = 0.95
"""A change is worth naming where it leaves at most this share of the memory that is needed."""
Change = dict[str, Any]
"""Settings by path, with their new values."""


def needing_less(recipe: Recipe, count: Callable[[Recipe], float], room: float, free: float) -> str:
    """Write what would need less memory than the recipe, with the megabytes then needed as ``count`` finds them.

    Where no single change fits into ``room`` megabytes, several are named that do so together (or at least fit into the
    ``free`` ones): none of them can be left out, and the gentler ones are preferred.
    """
    changes = list(savings(recipe))
    needed = count(recipe)
    counted = [(change, count(changed(recipe, [change]))) for change in changes]
    worth = [(change, then) for change, then in counted if then < WORTH_IT * needed]
    sentences = []
    if worth:
        singles = (f"{_written([change])} ({gigabytes(then)})" for change, then in worth)
        sentences = [f"To need less: {'; '.join(singles)}."]
    if any(then <= room for _, then in worth):
        return sentences[0]
    for limit, verb in ((room, "fit together"), (free, "together come close")):
        if together := fitting(recipe, changes, count, limit):
            then = gigabytes(count(changed(recipe, together)))
            return " ".join([*sentences, f"These {verb}: {_written(together)} ({then})."])
    least = gigabytes(count(changed(recipe, changes)))
    other = "a LoRA or a smaller base model" if METHOD_INFO[recipe.method.name].whole_model else "a smaller base model"
    return " ".join([*sentences, f"Even with all that can be lowered it needs {least}: choose {other}."])


def fitting(recipe: Recipe, changes: Sequence[Change], count: Callable[[Recipe], float], room: float) -> list[Change]:
    """Choose changes that need at most ``room`` megabytes together, none of which can be left out.

    ``changes``: the gentlest first. They are taken in this order until it fits; then those are left out again, the
    harshest first, without which it fits, too. Empty where nothing fits.
    """
    taken: list[Change] = []
    for change in changes:
        taken.append(change)
        if count(changed(recipe, taken)) <= room:
            break
    else:
        return []
    for change in reversed(taken[:-1]):
        without = [other for other in taken if other is not change]
        if count(changed(recipe, without)) <= room:
            taken = without
    return taken


def changed(recipe: Recipe, changes: Sequence[Change]) -> Recipe:
    """Return a copy of the recipe with these changes."""
    made = copy.deepcopy(recipe)
    for change in changes:
        for setting, value in change.items():
            *sections, name = setting.split(".")
            target = made
            for section in sections:
                target = getattr(target, section)
            setattr(target, name, value)
    return made


def _written(changes: Sequence[Change]) -> str:
    """Write changes as in a recipe: ``train.checkpointing = true, train.batch_size = 1``."""
    settings = {setting: value for change in changes for setting, value in change.items()}
    return ", ".join(f"{setting} = {str(value).lower()}" for setting, value in settings.items())
