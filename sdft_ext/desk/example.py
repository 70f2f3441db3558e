"""The example subject that comes with the program, as settings that a page loads with one click."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ..recipe import METHOD_INFO, Recipe
from ..recipe import file as recipe_file
from ..recipe.presets import start
from ..recipe.rules import fields

FILE = Path(__file__).resolve().parents[2] / "assets" / "example" / "subject.yaml"
WHAT = ("dataset.concepts.", "watch.concept_prompts", "watch.bleeding_prompts", "save.name")
"""Settings that suit any model; the example's others are only for the toy model, where no preset sets them."""


def example(family: str, left_out: tuple[str, ...]) -> dict[str, Any] | None:
    """Return ``help`` and ``settings`` (by path) of the example for a family; None where it isn't installed."""
    try:
        written = FILE.stat().st_mtime_ns
    except OSError:
        return None
    return _read(family, left_out, written)


@lru_cache(maxsize=4)
def _read(family: str, left_out: tuple[str, ...], _written: int) -> dict[str, Any]:
    """Read the example as it was written then: a page asks for it whenever it is loaded."""
    defaults = {setting.path: setting.value for setting in fields(Recipe)}
    preset_paths = {path for method in METHOD_INFO for path in start(method, "subject", family, 64)}
    settings = {
        setting.path: setting.value
        for setting in fields(recipe_file.read(FILE))
        if setting.path not in left_out
        and (
            setting.path.startswith(WHAT)
            or (family == "toy" and setting.path not in preset_paths and setting.value != defaults.get(setting.path))
        )
    }
    return {
        "help": "Twelve drawn pictures of a five-pointed star, which the toy model has never seen.",
        "settings": settings,
    }
