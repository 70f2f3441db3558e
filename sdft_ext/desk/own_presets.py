"""Presets that users have saved under a name: recipes without pictures and words, as YAML files in the runs' folder."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..recipe import Concept, Recipe, RecipeError
from ..recipe import file as recipe_file
from ..recipe.rules import fields, not_a_file_name
from ..storage import atomic
from ..storage.free_name import free_name
from .errors import DeskError, NotAllowed, NotFound, NotNow

OF_ONE_RUN = ("save.name", "watch.concept_prompts", "watch.bleeding_prompts", "method.embedding.words", "version")
"""Settings that belong to one run's concept, as the concepts' own do: a preset leaves them as they are."""
KIND = "dataset.concepts.0.kind"
HEADER = "# A preset of the Fine-tune tab: every setting but pictures, words and names.\n"


class OwnPresets:
    """The presets in ``folder``, ``NAME.yaml`` each. ``parse`` converts a page's values to a recipe; deleted presets
    are moved to ``trash``.
    """

    def __init__(self, folder: Path, trash: Path, parse: Callable[[Any], Recipe]) -> None:
        self._folder, self._trash, self._parse = folder, trash, parse

    def all(self) -> dict[str, Any]:
        """Return the ``presets`` by name, each with its ``settings`` by path, and ``problems``: a sentence for each
        file that can't be read.
        """
        found, problems = [], []
        for path in sorted(self._folder.glob("*.yaml"), key=lambda path: path.stem.casefold()):
            try:
                recipe = recipe_file.read(path)
            except RecipeError as error:
                problems.append(str(error))
                continue
            settings = {field.path: field.value for field in fields(recipe) if belongs(field.path, field.is_path)}
            found.append({"name": path.stem, "settings": settings})
        return {"presets": found, "problems": problems}

    def save(self, name: str, values: Any, replaces: bool) -> None:
        """Save the settings of a recipe under a name.

        Raises RecipeError, DeskError for a text that is no file name, NotNow where there is a preset of this name,
        unless it ``replaces`` that; NotAllowed where the file can't be written.
        """
        if wrong := not_a_file_name(name):
            raise DeskError(f"The name {wrong}")
        taken = [path for path in self._folder.glob("*.yaml") if path.stem.casefold() == name.casefold()]
        if taken and not replaces:
            raise NotNow(f"There is a preset named {taken[0].stem} already: replace it, or choose another name.")
        recipe = self._parse(values)
        recipe_file.validate(recipe)
        text = HEADER + recipe_file.dumps(_general(recipe))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            atomic.text(self._folder / f"{name}.yaml", text)
            for path in taken:
                if path.stem != name and not path.samefile(self._folder / f"{name}.yaml"):
                    path.unlink()
        except OSError as error:
            raise NotAllowed(f"{self._folder / name}.yaml can't be written ({error.strerror}): free space.") from error

    def delete(self, name: str) -> None:
        """Move a preset to the trash. Raises NotFound, NotAllowed where it can't be moved."""
        path = self._folder / f"{name}.yaml"
        if not_a_file_name(name) or not path.is_file():
            raise NotFound(f"There is no preset named {name}; reload the page.")
        try:
            self._trash.mkdir(parents=True, exist_ok=True)
            target = free_name(name, lambda name: (self._trash / f"{name}.yaml").exists())
            shutil.move(path, self._trash / f"{target}.yaml")
        except OSError as error:
            raise NotAllowed(f"{path} can't be moved to {self._trash} ({error.strerror}): check its folder.") from error


def belongs(path: str, is_path: bool) -> bool:
    """Return whether a setting belongs to a preset: no file or folder, and nothing of one run's concept."""
    return path == KIND or not (is_path or path.startswith("dataset.concepts.") or path in OF_ONE_RUN)


def _general(recipe: Recipe) -> Recipe:
    """Return a recipe with the defaults in place of what doesn't belong to a preset."""
    first = recipe.dataset.concepts[:1] or [Concept()]
    made = replace(recipe, dataset=replace(recipe.dataset, concepts=[Concept(kind=first[0].kind)]))
    defaults = {field.path: field.value for field in fields(Recipe())}
    plain = dataclasses.asdict(made)
    for field in fields(made):
        if not belongs(field.path, field.is_path) and field.path in defaults:
            _put(plain, field.path, defaults[field.path])
    return recipe_file.from_plain(plain)


def _put(plain: Any, path: str, value: Any) -> None:
    *sections, name = path.split(".")
    for section in sections:
        plain = plain[int(section)] if section.isdigit() else plain[section]
    plain[name] = value
