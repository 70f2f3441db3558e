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
            previews = _previews(read_facts(library.path(run)).get("previews"), recipe)
            without = "saves" if previews else "control pictures and saves"
            where = f"{rate:.3g} pictures a second in {run}, without {without}"
            return Speed(rate, where, previews, _column(recipe))
    return None


def _previews(measured: Any, recipe: Recipe) -> dict[str, float]:
    """Return what the control pictures of a step would take, from what they took in another run, by their number, size
    and sampler steps; empty where that isn't known.
    """
    watch, pictures = recipe.watch, control_pictures(recipe)
    if not isinstance(measured, dict) or measured.get("size") != watch.size:
        return {}
    before, passes = (json_file.number(measured, name) for name in ("pictures", "passes"))
    if not before or not passes:
        return {}
    more = pictures / before
    longer = more * watch.sampler_steps * (2 if watch.guidance > 1 else 1) / passes
    judged = {"judging": more, "dataset": 1.0} if watch.judge else {}
    times = {"controls": longer, **judged}
    return {kind: json_file.number(measured, kind) * factor for kind, factor in times.items()}


def control_pictures(recipe: Recipe) -> int:
    """Count the control pictures of a step; where their prompts are proposed, as many as are asked for."""
    watch = recipe.watch
    proposed = watch.propose_prompts and any(concept.trigger for concept in recipe.dataset.concepts)
    count = 0
    for prompts in (watch.concept_prompts, watch.bleeding_prompts):
        if prompts:
            count += -(-watch.pictures // len(prompts)) * len(prompts)
        elif proposed:
            count += watch.pictures
    return count


def _column(recipe: Recipe) -> float:
    """Return the share of the control pictures of a step that a column of the grid has: each prompt once."""
    from ..judge.prompts import PROMPTS

    watch, pictures = recipe.watch, control_pictures(recipe)
    sets, proposed = (watch.concept_prompts, watch.bleeding_prompts), max(PROMPTS, watch.pictures // 2)
    different = sum(len(prompts) or proposed for prompts in sets)
    return min(different / pictures, 1.0) if pictures else 0.0


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
