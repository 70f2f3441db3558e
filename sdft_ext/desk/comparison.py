"""Runs compared by what they taught: the numbers of the save that each one's verdict recommends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..judge.prompts import why_not_judged
from ..judge.shares import Share
from ..recipe import Recipe
from ..run_folder import verdict as verdict_file
from ..run_folder.facts import read_facts
from ..storage import json_file
from .errors import DeskError
from .library import Library

NOT_YET = "No save was judged yet."
NUMBERS = ("learned", "bleeding", "copied")


def compared(library: Library) -> list[dict[str, Any]]:
    """Return every run of the library, newest first, with the numbers of its recommended save, or ``why`` it has none.

    ``best``: of the runs of the same pictures and base model, the one whose save is worth most; there is none where
    only one of them was judged.
    """
    found = []
    for run in library.ids():
        try:
            found.append(_entry(library, run))
        except (OSError, DeskError):
            continue  # gone since its name was read, or its recipe can't be read
    for group in {one["group"] for one in found}:
        rated = [one for one in found if one["group"] == group and one["worth"] is not None]
        if len(rated) > 1:
            max(rated, key=lambda one: (one["worth"], -one["save"]))["best"] = True
    return found


def _entry(library: Library, run: str) -> dict[str, Any]:
    path, recipe, summary = library.path(run), library.recipe(run), library.summary(run)
    verdict = verdict_file.read(path)
    numbers = _numbers(path, verdict)
    worth = _worth(numbers) if verdict and verdict["word"] != "not learned" else None
    return {
        "id": run,
        "name": summary["name"],
        "concept": ", ".join(concept.name or concept.trigger for concept in recipe.dataset.concepts),
        "method": summary["method"],
        "base": summary["base"],
        "rate": recipe.train.learning_rate,
        "steps": summary["step"],
        "seconds": json_file.number(read_facts(path), "train_seconds"),
        "word": verdict.get("word", ""),
        "text": verdict.get("text", ""),
        "save": verdict.get("save"),
        **numbers,
        "worth": worth,
        "best": False,
        "group": _group(recipe),
        "why": "" if verdict else why_not_judged(recipe) or NOT_YET,
    }


def _numbers(path: Path, verdict: dict[str, Any]) -> dict[str, list[int] | None]:
    """Return each share as [hits, of]; of a run of an older version, as its report has them."""
    judged = verdict.get("judged")
    if verdict and judged is None:
        saves = json_file.read_or(path / "report.json", {}).get("save_table")
        judged = next(
            (one.get("judged") for one in saves or () if isinstance(one, dict) and one.get("step") == verdict["save"]),
            None,
        )
    return {name: _share(judged.get(name) if isinstance(judged, dict) else None) for name in NUMBERS}


def _share(value: Any) -> list[int] | None:
    sound = isinstance(value, list) and len(value) == 2 and all(isinstance(one, int) for one in value)
    return value if sound and value[1] > 0 else None


def _worth(numbers: dict[str, list[int] | None]) -> float | None:
    """Return *learned* less *bleeding* less *copied*, as verdicts do; None where nothing was learned."""
    if numbers["learned"] is None:
        return None
    learned, *others = (Share(*share).value if share else 0.0 for share in numbers.values())
    return round(learned - sum(others), 4)


def _group(recipe: Recipe) -> str:
    """Name what runs must share to be compared: their pictures and their base model."""
    return "\n".join([*(concept.instance for concept in recipe.dataset.concepts), Path(recipe.model.base).name])
