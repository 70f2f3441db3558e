"""The figures of a recipe before it runs: pictures, steps, saves, time, and what keeps it from starting.

    pictures × repeats × epochs ÷ (batch × accumulation) = steps

counted by the same code that a run uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dataset.folder import DatasetError, Scan
from ..recipe import METHOD_INFO, Recipe, RecipeError
from ..recipe.advice import advice, length_advice
from ..storage.text import quantity
from .errors import DeskError
from .scans import Scans

if TYPE_CHECKING:
    from ..dataset.plan import Plan

MOST_LISTED = 2_000
"""Saves that are listed; further ones are only counted."""
MOST_SENTENCES = 20


class Speed(NamedTuple):
    """Pictures trained a second, a text that says where that was measured, and the seconds that the control pictures of
    a step take to be drawn and judged, by kind of work (``run.pace.PREVIEWS``).
    """

    pictures_per_second: float
    where: str
    previews: Mapping[str, float] = MappingProxyType({})
    column: float = 1.0
    """Pictures in a column of the grid, as a share of the control pictures of a step."""


def calculate(recipe: Recipe, scans: Scans, measure: Callable[[Recipe], Speed | None]) -> dict[str, Any]:
    """Return the figures of a recipe with valid settings, as in the API. ``measure``: how fast a recipe's run would be,
    with the prompts that it takes.
    """
    from ..judge.prompts import propose

    warnings = advice(recipe)
    try:
        found = scans.get(recipe.dataset)
        figures, more, problems = _figures(recipe, found)
    except (DatasetError, DeskError, RecipeError) as error:
        return {**EMPTY, "warnings": warnings, "problems": [f"{_setting(recipe, str(error))}{error}"]}
    proposed = propose(recipe, found)
    seconds, of_previews, speed = None, None, measure(proposed)
    if speed is not None and speed.pictures_per_second > 0:
        shown = figures["steps"] * recipe.train.batch_size * recipe.train.accumulation
        of_previews = round(_seconds_of_previews(proposed, figures, speed), 1) if speed.previews else None
        seconds = round(shown / speed.pictures_per_second + (of_previews or 0.0), 1)
    return {
        **figures,
        "seconds": seconds,
        "preview_seconds": of_previews,
        "measured": "" if speed is None else speed.where,
        "proposed_prompts": _new_prompts(recipe, proposed),
        "warnings": list(dict.fromkeys([*warnings, *more])),
        "problems": problems,
    }


def _setting(recipe: Recipe, sentence: str) -> str:
    """Return the path of the setting that a sentence about folders means, with a colon; empty where it isn't clear."""
    folders = [
        (f"dataset.concepts.{number}.{name}: ", getattr(concept, name))
        for number, concept in enumerate(recipe.dataset.concepts)
        for name in ("instance", "regularization")
    ]
    if not any(concept.instance for concept in recipe.dataset.concepts):
        return folders[0][0]
    return next((path for path, folder in folders if folder and folder in sentence), "")


EMPTY: dict[str, Any] = {
    "pictures": 0,
    "regularization": 0,
    "showings": 0,
    "steps_per_epoch": 0,
    "steps": 0,
    "epochs": 0.0,
    "saves": [],
    "saves_count": 0,
    "seconds": None,
    "preview_seconds": None,
    "measured": "",
    "warnings": [],
    "problems": [],
    "suggested_triggers": {},
    "proposed_prompts": {},
    "methods": {},
}


def suggested_triggers(recipe: Recipe, scans: Scans) -> dict[str, str]:
    """Return a rare word for each concept that has pictures but no trigger, by the path of that setting.

    None of them is in a caption, or has another meaning in the recipe.
    """
    from ..captions.rare_words import suggest

    concepts = recipe.dataset.concepts
    paths = [
        f"dataset.concepts.{number}.trigger"
        for number, concept in enumerate(concepts)
        if concept.instance and not concept.trigger.strip()
    ]
    if not paths:
        return {}
    try:
        found = scans.get(recipe.dataset)
    except (DatasetError, DeskError):
        return {}
    taken = [word for concept in concepts for word in (concept.trigger, concept.class_word)]
    taken += [*recipe.method.embedding.words, *(picture.caption for picture in found.pictures)]
    return dict(zip(paths, suggest(len(paths), taken), strict=False))


def _new_prompts(recipe: Recipe, proposed: Recipe) -> dict[str, list[str]]:
    """Return the prompts that a run takes for its control pictures where it has none, by the path of the setting."""
    return {
        f"watch.{name}": prompts
        for name in ("concept_prompts", "bleeding_prompts")
        if (prompts := getattr(proposed.watch, name)) and not getattr(recipe.watch, name)
    }


def _figures(recipe: Recipe, found: Scan) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the figures, warnings, and problems. Raises DatasetError where nothing can be trained on."""
    from ..analysis.summary import summarize
    from ..dataset.plan import Plan, hold_out
    from ..train import schedules

    plan = Plan(found, recipe.dataset, recipe.train, hold_out(found, recipe.watch.validation_share, recipe.train.seed))
    steps = schedules.length(recipe.train, plan.total_steps)
    saves, count = save_steps(recipe, plan.steps_per_epoch, steps)
    summary = summarize(found, plan, method=recipe.method.name).data
    problems = _without_text(recipe, found, plan)
    warnings = [
        *length_advice(recipe, steps, plan.steps_per_epoch, count),
        *_division(recipe, plan.showings_per_epoch),
        *(text for text in summary["advice"] if not any(problem.endswith(text) for problem in problems)),
        *(p["text"] for p in summary["problems"]),
    ]
    if len(warnings) > MOST_SENTENCES:
        left = len(warnings) - MOST_SENTENCES
        warnings = [*warnings[:MOST_SENTENCES], f"And {left:,} more: see the dataset's report."]
    return (
        {
            "pictures": len(found.instances),
            "regularization": len(found.regularization),
            "showings": plan.showings_per_epoch,
            "steps_per_epoch": plan.steps_per_epoch,
            "steps": steps,
            "epochs": round(steps / plan.steps_per_epoch, 2),
            "saves": saves,
            "saves_count": count,
        },
        warnings,
        problems,
    )


def _seconds_of_previews(recipe: Recipe, figures: dict[str, Any], speed: Speed) -> float:
    """Return how long drawing and judging control pictures takes in the whole run, those of step 0 and the grid too."""
    from ..run.pace import seconds_of_work
    from ..run.schedule import Schedule

    schedule = Schedule(recipe, figures["steps_per_epoch"], figures["steps"])
    later = seconds_of_work(schedule, 0, lambda kind: speed.previews.get(kind, 0.0), speed.column)
    return sum(speed.previews.values()) + later


def _without_text(recipe: Recipe, found: Scan, plan: Plan) -> list[str]:
    """Return a sentence for each concept that no word could call up, where the method needs one."""
    from ..analysis.missing_captions import empty_texts

    if not METHOD_INFO[recipe.method.name].needs_text:
        return []
    findings = [finding for finding in empty_texts(found, plan) if finding.facts["pictures"] == finding.facts["all"]]
    return [f"dataset.concepts.{finding.concept}.trigger: {finding.text}" for finding in findings]


def save_steps(recipe: Recipe, steps_per_epoch: int, steps: int) -> tuple[list[int], int]:
    """Return the steps after which a save is written (the first of very many), and how many there are."""
    from ..run.schedule import Schedule

    due = Schedule(recipe, steps_per_epoch, steps).saves_before_the_end
    return [*due[:MOST_LISTED], steps], len(due) + 1


def _division(recipe: Recipe, showings: int) -> list[str]:
    """Warn where the batches don't divide an epoch evenly."""
    batch, accumulation = recipe.train.batch_size, recipe.train.accumulation
    size = batch * accumulation
    left_over = showings % size
    if size <= 1 or not left_over:
        return []
    written = f"batch size {batch}" + (f" × accumulation {accumulation} = {size}" if accumulation > 1 else "")
    fits = [number for number in range(min(size, showings), 0, -1) if showings % number == 0][:1]
    return [
        f"An epoch shows {quantity(showings, 'picture')}, which is not a multiple of {written}: the {left_over} "
        f"left over {'goes' if left_over == 1 else 'go'} "
        f"into the next epoch's first step. With {fits[0]}, none would be left over."
    ]
