"""The speed of earlier, similar runs on this machine, from their logs, and what their control pictures cost."""

from __future__ import annotations

from statistics import median
from typing import Any

from ..recipe import Recipe
from ..run_folder.facts import read_facts
from ..storage import json_file
from .calculator import Speed
from .errors import DeskError
from .library import Library

LINES = 200
MOST_RUNS = 30
"""The newest runs that are searched."""


def measured(library: Library, recipe: Recipe) -> Speed | None:
    """Measure the newest run with the same model, size and way of computing; None where there is none. What its control
    pictures would take is known from the newest such run that drew some.

    ``recipe``: with the prompts that its run takes.
    """
    wanted, found = _facts(recipe), None
    previews: dict[str, float] = {}
    for run in library.ids()[:MOST_RUNS]:
        try:
            if _facts(library.recipe(run)) != wanted:
                continue
            lines = library.logs.last(library.path(run), LINES)
            previews = previews or _previews(read_facts(library.path(run)).get("previews"), recipe)
        except (DeskError, OSError):
            continue
        rates = [float(line["pictures_per_second"]) for line in lines if _number(line.get("pictures_per_second"))]
        found = found or ((median(rates), run) if rates else None)
        if found and previews:
            break
    if found is None:
        return None
    rate, run = found
    without = "saves" if previews else "control pictures and saves"
    pictures, column = _control_pictures(recipe)
    where = f"{rate:.3g} pictures a second in {run}, without {without}"
    return Speed(rate, where, previews, column / pictures if pictures else 0.0)


def _previews(measured: Any, recipe: Recipe) -> dict[str, float]:
    """Return what the control pictures of a step would take, from what they took in another run, by their number, size
    and sampler steps; empty where that isn't known, or there are none.
    """
    from ..judge.prompts import why_not_judged

    watch, (pictures, _) = recipe.watch, _control_pictures(recipe)
    side = watch.size or recipe.dataset.resolution
    if not pictures or not isinstance(measured, dict) or measured.get("side") != side:
        return {}
    before, passes = (json_file.number(measured, name) for name in ("pictures", "passes"))
    if not before or not passes or not json_file.number(measured, "controls"):
        return {}
    more = pictures / before
    times = {"controls": more * watch.sampler_steps * (2 if watch.guidance > 1 else 1) / passes}
    if watch.concept_prompts and watch.bleeding_prompts and not why_not_judged(recipe):
        times |= {"judging": more, "dataset": 1.0}
    return {kind: json_file.number(measured, kind) * factor for kind, factor in times.items()}


def _control_pictures(recipe: Recipe) -> tuple[int, int]:
    """Count the control pictures of a step, and those with different prompts: a column of the grid."""
    sets = [prompts for prompts in (recipe.watch.concept_prompts, recipe.watch.bleeding_prompts) if prompts]
    return sum(-(-recipe.watch.pictures // len(prompts)) * len(prompts) for prompts in sets), sum(map(len, sets))


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
