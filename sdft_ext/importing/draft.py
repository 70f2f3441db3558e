"""The recipe that an import makes, and its report: what was taken over, and what was not, with what to do about it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..recipe.rules import Setting, types, value_problem
from ..storage.text import printable

MOST_SHOWN = 80
"""Characters of a value from a file that a sentence shows."""
MOST_LINES = 500
"""Lines of a report: a file with more unknown settings is none that a program wrote."""


@dataclass(frozen=True)
class Taken:
    """A setting that was taken over: its name and value in the file, and the recipe's setting and value.

    ``value`` is empty where the file doesn't name it, so that the program's default was taken.
    """

    name: str
    value: str
    setting: str
    becomes: str


class Draft:
    """A recipe in the making. ``left``: a sentence for each setting that differs from the file's or was left out."""

    def __init__(self) -> None:
        self.recipe = Recipe()
        self.taken: list[Taken] = []
        self.left: list[str] = []

    def set(self, path: str, value: Any, name: str, given: Any) -> bool:
        """Set one of the recipe's settings, named ``name`` in the file with the value ``given``; None: by default.

        A value that the setting doesn't allow leaves it as it was, with a sentence about it; then False is returned.
        """
        setting = self._setting(path)
        if setting.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        problem = value_problem(setting._replace(value=value))
        if problem is not None:
            self.note(f"{_name(name)} is {shown(value if given is None else given)}, which was left out: {problem}")
            return False
        recipe_file.put(self.recipe, path, value)
        self.taken.append(Taken(_name(name), "" if given is None else shown(given), path, shown(value)))
        return True

    def allowed(self, path: str, value: Any) -> Any:
        """Return a value if the recipe's setting allows it, else the one that the recipe has."""
        setting = self._setting(path)
        return value if value_problem(setting._replace(value=value)) is None else setting.value

    def leave(self, name: str, given: Any, text: str) -> None:
        """Report a setting that can't be carried over as it is; ``text`` says why and what to do."""
        self.note(f"{_name(name)} is {shown(given)}: {text}")

    def note(self, sentence: str) -> None:
        """Add a sentence to the report, once."""
        sentence = printable(sentence)
        if len(self.left) < MOST_LINES and sentence not in self.left:
            self.left.append(sentence)

    def _setting(self, path: str) -> Setting:
        *sections, name = path.split(".")
        place: Any = self.recipe
        for part in sections:
            place = place[int(part)] if isinstance(place, list) else getattr(place, part)
        section: Any = type(place)
        field = next(field for field in dataclasses.fields(place) if field.name == name)
        return Setting(path, field, types(section)[name], getattr(place, name))


def shown(value: Any) -> str:
    """Write a value from a file for a sentence: short, in one line, printable."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = str(value)  # TOML has dates
    text = printable(text)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def _name(name: str) -> str:
    return printable(name[:MOST_SHOWN])
