"""Axes of the WebUI's X/Y/Z plot: which save is in the prompt, and at which weight.

They change the text of each cell's prompt before it is drawn, so they work in the page and over the API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...formats import embedding
from ...run_folder.saves import Saves
from .files import folder_for, kind_of, runs_folder
from .prompts import NONE, SAVE_AXIS, WEIGHT_AXIS, Kind, with_save, with_weight

FOLDERS = ("lora", "textual_inversion", "hypernetwork")
"""Methods whose folders have files that a prompt can call."""


def add_axes() -> None:
    """Add both axes to the script's list, each time the WebUI builds its page."""
    from modules import scripts

    names = ("xyz_grid.py", "scripts.xyz_grid")
    found = next((data.module for data in scripts.scripts_data if data.script_class.__module__ in names), None)
    if found is None or any(option.label == SAVE_AXIS for option in found.axis_options):
        return
    plain = found.format_value
    found.axis_options += [
        found.AxisOption(SAVE_AXIS, str, put_save, format_value=plain, confirm=known, cost=0.2, choices=choices),
        found.AxisOption(WEIGHT_AXIS, float, put_weight),
    ]


def choices() -> list[str]:
    """List the base model and every save of every run that is in the host's folders, those of the newest run first."""
    return [NONE, *saves(runs_folder())]


def saves(folder: Path) -> dict[str, list[Path]]:
    """Map the names of all runs' saves in the WebUI's folders to their files: one, and of an embedding one per word."""
    runs = sorted(folder.glob("*/saves/index.json"), key=lambda index: index.stat().st_mtime, reverse=True)
    places = [folder_for(method).resolve() for method in FOLDERS]
    found: dict[str, list[Path]] = {}
    for index in runs:
        listed = Saves(index.parent.parent, "", 0)
        for save in listed.all():
            path, *extra = listed.files(save)
            if any(path.resolve().is_relative_to(place) for place in places):
                found[path.stem] = [path, *(extra if kind_of(path) == "embedding" else ())]
    return found


def known(_p: Any, values: Sequence[str]) -> None:
    """Raise RuntimeError where a value is none of the saves."""
    there = choices()
    for value in values:
        if value not in there:
            raise RuntimeError(f"{SAVE_AXIS}: there is no save named {value!r}; press the fill button to see all.")


def put_save(p: Any, value: str, values: Sequence[str]) -> None:
    """Put a save into a cell's prompts."""
    there, weight = saves(runs_folder()), getattr(p, "sdft_weight", "")
    kinds, words = _kinds_and_words(there)
    trained = next((_trained(there[name]) for name in values if kinds.get(name) == "embedding"), [])
    for name in _prompts(p):
        prompt = with_save(getattr(p, name), value, {*kinds, *values}, weight, kinds, words, trained)
        setattr(p, name, prompt)


def put_weight(p: Any, value: float, _values: Sequence[float]) -> None:
    """Set the weight of the saves in a cell's prompts."""
    p.sdft_weight = f"{value:g}"  # for a save that the other axis puts in after this one
    kinds, words = _kinds_and_words(saves(runs_folder()))
    for name in _prompts(p):
        setattr(p, name, with_weight(getattr(p, name), value, set(kinds), kinds, words))


def _kinds_and_words(there: Mapping[str, Sequence[Path]]) -> tuple[dict[str, Kind], dict[str, list[str]]]:
    """Look up how a prompt calls each save, and the names of embeddings' words."""
    kinds = {name: kind_of(files[0]) for name, files in there.items()}
    words = {name: [file.stem for file in files] for name, files in there.items() if kinds[name] == "embedding"}
    return kinds, words


def _trained(files: Sequence[Path]) -> list[str]:
    """Give the words as training called them: the run's own prompts may contain them."""
    return [embedding.metadata(file).get(embedding.WORD) or file.stem for file in files]


def _prompts(p: Any) -> list[str]:
    """Name the attributes of a generation that are prompts: the second pass may have one of its own."""
    return ["prompt", *(["hr_prompt"] if getattr(p, "hr_prompt", "") else [])]
