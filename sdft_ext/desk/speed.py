"""The speed of earlier, similar runs on this machine, from their logs."""

from __future__ import annotations

from statistics import median
from typing import Any

from ..recipe import Recipe
from .calculator import Speed
from .errors import DeskError
from .library import Library

LINES = 200
MOST_RUNS = 30
"""The newest runs that are searched."""


def measured(library: Library, recipe: Recipe) -> Speed | None:
    """Measure the newest run with the same model, size and way of computing; None where there is none."""
    wanted = _facts(recipe)
    for run in library.ids()[:MOST_RUNS]:
        try:
            if _facts(library.recipe(run)) != wanted:
                continue
            lines = library.logs.last(library.path(run), LINES)
        except (DeskError, OSError):
            continue
        rates = [float(line["pictures_per_second"]) for line in lines if _number(line.get("pictures_per_second"))]
        if rates:
            rate = median(rates)
            return Speed(rate, f"{rate:.3g} pictures a second in {run}, without control pictures and saves")
    return None


def _facts(recipe: Recipe) -> tuple[Any, ...]:
    """Return the settings that decide how long a picture takes."""
    train, method = recipe.train, recipe.method
    return (
        recipe.model.base,
        recipe.dataset.resolution,
        method.name,
        method.unet,
        method.text_encoder,
        train.batch_size,
        train.precision,
        train.checkpointing,
        train.sdpa,
        train.compile,
        train.channels_last,
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0
