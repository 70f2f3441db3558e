"""Recipes as a page sends them: read, written, checked against what this program may use, and forecast."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formats.quick_look import model_kind
from ..recipe import METHOD_INFO, Recipe, RecipeError, presets
from ..recipe import file as recipe_file
from ..recipe.advice import INSTANCE_PICTURES, REGULARIZATION_PICTURES
from ..recipe.rules import fields, problems
from ..storage.text import unquoted
from . import calculator, examples, schema
from .errors import DeskError
from .folders import Folders
from .library import Library
from .packages import Packages
from .scans import Scans
from .speed import measured

LATENT_BYTES = 2 * 4 * 4
"""Of a cell of an encoded picture: mean and standard deviation of 4 channels in float32."""

if TYPE_CHECKING:
    from ..host.base import Described, Host, Memory

DECIDED_HERE = ("save.output", "model.base", "model.vae")
"""Settings without a control on the page: runs are in the desk's folder, and train the host's model."""


class Recipes:
    """A page's recipes. ``output`` is the folder of the runs; ``host`` makes a host from a recipe, as in ``Desk``."""

    def __init__(
        self,
        output: Path,
        host: Callable[[Recipe | None], Host],
        folders: Folders,
        library: Library,
        scans: Scans,
        packages: Packages,
    ) -> None:
        self._output, self._host, self._folders = output, host, folders
        self._library, self._scans, self._packages = library, scans, packages

    def schema(self) -> dict[str, Any]:
        """Return every setting, the presets for the loaded model, the methods, and the recommended picture counts."""
        from ..host.base import default_precision

        model = self._host(None).describe()
        kind = model_kind(model.path, model.family)
        return {
            "sections": schema.sections(DECIDED_HERE),
            "defaults": dataclasses.asdict(Recipe()),
            "examples": examples.examples(kind.family, DECIDED_HERE),
            "presets": presets.presets(kind.family, kind.resolution, default_precision(model.dtype, model.device)),
            "methods": [method.described() for method in METHOD_INFO.values()],
            "thorough": presets.thorough(kind.family),
            "recommended": {"instance": INSTANCE_PICTURES, "regularization": REGULARIZATION_PICTURES},
        }

    def parse(self, values: Any) -> Recipe:
        """Convert nested values to a recipe for this desk's folder and the loaded model. Raises RecipeError."""
        recipe = recipe_file.from_plain(values)
        _unquote_paths(recipe)
        recipe.save.output = str(self._output)
        model = self._host(None).describe()
        if not recipe.model.base:
            recipe.model.base = model.path
        return recipe

    def both_forms(self, values: Any = None, text: str = "") -> dict[str, Any]:
        """Return a recipe as nested values and as YAML, from either of them. Raises RecipeError."""
        recipe = recipe_file.loads(text) if text else self.parse(values)
        return {"recipe": dataclasses.asdict(recipe), "yaml": recipe_file.dumps(recipe)}

    def path_problems(self, recipe: Recipe) -> list[str]:
        """Return a sentence, beginning with the setting, for each path that isn't allowed or doesn't exist."""
        found = []
        for setting in fields(recipe):
            if not setting.is_path or not setting.value or setting.path == "save.output":
                continue
            try:
                self._check_path(setting.path, setting.value)
            except DeskError as error:
                found.append(f"{setting.path}: {error}")
        return found

    def host_problems(self, recipe: Recipe) -> list[str]:
        """Return what keeps any run from starting now: missing packages, or a model that can't be trained."""
        if why := self._packages.why_not():
            return [why]
        model = self._host(recipe).describe()
        return [] if model.trainable else [model.why or "The loaded model can't be trained; load another one."]

    def calculate(self, values: Any) -> dict[str, Any]:
        """Return figures, warnings, the memory forecast, and what keeps the recipe from starting."""
        from ..memory.forecast import forecast

        try:
            recipe = self.parse(values)
        except RecipeError as error:
            return {**calculator.EMPTY, "problems": [str(error)], "memory": None}
        wrong, paths = list(problems(recipe)), self.path_problems(recipe)
        if wrong or paths:
            found = [*wrong, *paths, *self.host_problems(recipe)]
            suggested = {} if paths else self._suggested_triggers(recipe)
            return {**calculator.EMPTY, "problems": found, "suggested_triggers": suggested, "memory": None}
        self._packages.wait()
        figures = calculator.calculate(recipe, self._scans, lambda one: measured(self._library, one))
        host = self._host(recipe)
        model = host.describe()
        if model.path != recipe.model.base:
            made_for = Path(recipe.model.base).name
            other = f"The recipe was made for {made_for}; it will train the loaded model, {model.name}."
            figures["warnings"] = [other, *figures["warnings"]]
        pictures = figures["pictures"] + figures["regularization"]
        missing = bool(self._packages.missing)
        by_method = {} if missing else self._memory_by_method(recipe, model, host.memory(), pictures)
        return {
            **figures,
            "problems": [*figures["problems"], *self.host_problems(recipe)],
            "suggested_triggers": self._suggested_triggers(recipe),
            "memory": None if missing else forecast(recipe, model, host.memory(), pictures),
            "methods": by_method,
            "disk": "" if missing or not figures["saves_count"] else self._disk(recipe, model, figures),
        }

    def _memory_by_method(
        self, recipe: Recipe, model: Described, memory: Memory, pictures: int
    ) -> dict[str, dict[str, Any]]:
        """Forecast the memory of the recipe with each method."""
        from ..host.base import default_precision
        from ..memory.forecast import forecasts

        kind, precision = model_kind(model.path, model.family), default_precision(model.dtype, model.device)
        as_other = {
            name: presets.with_method(recipe, name, kind.family, kind.resolution, precision) for name in METHOD_INFO
        }
        return forecasts(as_other, model, memory, pictures)

    def _suggested_triggers(self, recipe: Recipe) -> dict[str, str]:
        """Return a rare word for each concept without a trigger; none where the tokenizer's package is missing."""
        self._packages.wait()
        return {} if self._packages.missing else calculator.suggested_triggers(recipe, self._scans)

    def _disk(self, recipe: Recipe, model: Described, figures: dict[str, Any]) -> str:
        """Say how much of the disk a run would need, and how much is free in the runs' folder."""
        from ..dataset.cache import cache_folder
        from ..memory.forecast import place_of
        from ..run.disk import disk_use

        pictures = figures["pictures"] + figures["regularization"]
        cache = pictures * (recipe.dataset.resolution // 8) ** 2 * LATENT_BYTES
        use = disk_use(recipe, place_of(model, pictures).family, figures["saves_count"], cache)
        saves = self._host(None).saves_folder(recipe.method.files)
        return " ".join(use.sentences(self._library.folder, saves, cache_folder(recipe.dataset, self._library.folder)))

    def _check_path(self, setting: str, text: str) -> None:
        if setting.startswith("dataset.concepts."):
            self._folders.check_links(self._folders.folder(text))
        elif setting == "dataset.cache_folder":
            self._folders.place(text)
        elif setting == "dataset.linked_folder":
            self._folders.folder(text)
        elif not (setting.startswith("model.") and text == self._host(None).describe().path):
            self._folders.file_of(text)  # the loaded model is in use, wherever it lies


def _unquote_paths(recipe: Recipe) -> None:
    """Remove the quotes around paths in a recipe: they come with Windows' "Copy as path"."""
    for setting in fields(recipe):
        if setting.is_path and setting.value != unquoted(setting.value):
            *sections, name = setting.path.split(".")
            section: Any = recipe
            for part in sections:
                section = section[int(part)] if part.isdigit() else getattr(section, part)
            setattr(section, name, unquoted(setting.value))
