"""The examples that come with the program, a subject and a style, as settings that a page loads with one click."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ..recipe import METHOD_INFO, Kind, Recipe
from ..recipe import file as recipe_file
from ..recipe.presets import start
from ..recipe.rules import fields

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "example"
WHAT = ("dataset.concepts.", "watch.concept_prompts", "watch.bleeding_prompts", "save.name")
"""Settings that suit any model; an example's others are only for the toy model, where no preset sets them."""
HELP: dict[Kind, str] = {
    "subject": "Twelve drawn pictures of a five-pointed star, which the toy model has never seen.",
    "style": "Sixty drawn pictures in two tones, which the toy model has never seen: each shape is darker below.",
}


def examples(family: str, left_out: tuple[str, ...]) -> dict[Kind, dict[str, Any]]:
    """Return ``help`` and ``settings`` (by path) of each kind's example for a family; those that are installed."""
    found = {}
    for kind in HELP:
        file = FOLDER / f"{kind}.yaml"
        try:
            written = file.stat().st_mtime_ns
        except OSError:
            continue
        found[kind] = _read(kind, file, family, left_out, written)
    return found


@lru_cache(maxsize=8)
def _read(kind: Kind, file: Path, family: str, left_out: tuple[str, ...], _written: int) -> dict[str, Any]:
    """Read an example as it was written then: a page asks for it whenever it is loaded."""
    defaults = {setting.path: setting.value for setting in fields(Recipe)}
    preset_paths = {path for method in METHOD_INFO for path in start(method, kind, family, 64)}
    settings = {
        setting.path: setting.value
        for setting in fields(recipe_file.read(file))
        if setting.path not in left_out
        and (
            setting.path.startswith(WHAT)
            or (family == "toy" and setting.path not in preset_paths and setting.value != defaults.get(setting.path))
        )
    }
    return {"help": HELP[kind], "settings": settings}
