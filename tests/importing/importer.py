"""Imports settings as a user would, and counts what the recipe then does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.importing import Imported, LocalFiles, import_settings
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from tests.analysis.images import fill


def toml(values: Mapping[str, Any]) -> bytes:
    """Write flat settings as TOML."""
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()).encode()


def imported(base: Path, **contents: bytes | Mapping[str, Any] | list[Any]) -> Imported:
    """Import files by their names: TOML for bytes, else JSON. The recipe, once printed, is read back the same."""
    files = {
        name: content if isinstance(content, bytes) else json.dumps(content).encode()
        for name, content in contents.items()
    }
    found = import_settings(files, LocalFiles([base]))
    assert recipe_file.loads(recipe_file.dumps(found.recipe)) == found.recipe or found.left
    return found


def kohya(base: Path, **settings: Any) -> Imported:
    """Import a settings file of sd-scripts, for a LoRA unless another module is given."""
    module = {} if "network_module" in settings or "token_string" in settings else {"network_module": "networks.lora"}
    given = {"pretrained_model_name_or_path": "model.safetensors", **module, **settings}
    return imported(base, **{"settings.toml": toml({key: value for key, value in given.items() if value is not None})})


def gui(base: Path, **settings: Any) -> Imported:
    """Import the JSON of kohya_ss."""
    return imported(base, **{"gui.json": {"LoRA_type": "Standard", "max_resolution": "512,512", **settings}})


def onetrainer(base: Path, concepts: list[dict[str, Any]] | None = None, **settings: Any) -> Imported:
    """Import a config of OneTrainer with its concepts in it."""
    config = {"training_method": "LORA", "model_type": "STABLE_DIFFUSION_15", "concepts": concepts or [], **settings}
    return imported(base, **{"config.json": config})


def pictures(folder: Path, *sizes: tuple[int, int, int]) -> Path:
    """Fill a folder with so many pictures of a width and a height: (count, width, height)."""
    first = 0
    for count, width, height in sizes:
        fill(folder, count, width, height, first)
        for number, path in enumerate(sorted(folder.glob("[0-9][0-9][0-9].png"))):
            path.rename(folder / f"{width}x{height}-{first + number}.png")
        first += count
    return folder


def plan(recipe: Recipe) -> Plan:
    """Return the plan of the recipe's run: the same code as in training."""
    return Plan(scan(recipe.dataset), recipe.dataset, recipe.train)


def shown(recipe: Recipe, steps: int) -> dict[str, int]:
    """Count how often each folder's pictures are shown in the first steps."""
    made, counts = plan(recipe), dict[str, int]()
    for step in range(steps):
        for micro in range(recipe.train.accumulation):
            for sample in made.samples(step, micro):
                name = made.scan.pictures[sample.picture].path.parent.name
                counts[name] = counts.get(name, 0) + 1
    return counts


def says(found: Imported, *parts: str) -> bool:
    """Return whether one sentence of the report has all the parts."""
    return any(all(part in sentence for part in parts) for sentence in found.left)


def value(recipe: Recipe, path: str) -> Any:
    place: Any = recipe
    for name in path.split("."):
        place = place[int(name)] if name.isdigit() else getattr(place, name)
    return place
