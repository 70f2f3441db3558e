"""Settings of other programs → a recipe, and a report of what was taken over and what was not.

Read are kohya's dataset and settings files (TOML), the JSON of kohya_ss, and OneTrainer's config and concepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import SdftError
from ..recipe import Recipe
from ..recipe.rules import problems
from ..storage.text import printable
from .draft import Draft, Taken
from .files import (
    Files,
    FoundPicture,
    LocalFiles,
    NoFiles,
    Remembered,
    content_of,
    folders_in,
    found_pictures,
    on_network,
)
from .kohya import import_kohya
from .onetrainer import import_onetrainer
from .source import MAX_BYTES, SettingsFileError, Source, source

__all__ = [
    "MAX_BYTES",
    "MOST_FILES",
    "Files",
    "FoundPicture",
    "Imported",
    "LocalFiles",
    "NoFiles",
    "SettingsFileError",
    "Taken",
    "content_of",
    "folders_in",
    "found_pictures",
    "import_settings",
    "on_network",
]

MOST_FILES = 2
"""Files of one import: a settings file and the one with its dataset or concepts."""


@dataclass(frozen=True)
class Imported:
    """An imported recipe. ``program``: whose settings they were; ``taken`` and ``left``: the report."""

    program: str
    recipe: Recipe
    taken: Sequence[Taken]
    left: Sequence[str]


def import_settings(contents: Mapping[str, bytes], files: Files) -> Imported:
    """Make a recipe of settings files, by their names; ``files`` is what may be read besides.

    Raises SettingsFileError for a damaged file, one of another kind, and files that don't belong together.
    """
    found = [source(name, content) for name, content in contents.items()]
    if not found:
        raise SettingsFileError("No file is given: name a settings file.")
    kinds: dict[str, Source] = {one.kind: one for one in found}
    if len(kinds) < len(found) or len(found) > MOST_FILES:
        raise SettingsFileError(
            f"{' and '.join(one.name for one in found[:3])} can't be imported together: name one settings file, and "
            "one file of its dataset or concepts."
        )
    settings = kinds.get("kohya settings") or kinds.get("kohya_ss settings")
    dataset, config, concepts = (
        kinds.get(kind) for kind in ("kohya dataset", "OneTrainer config", "OneTrainer concepts")
    )
    if (settings or dataset) and (config or concepts):
        raise SettingsFileError("The files are kohya's and OneTrainer's: import those of one program at a time.")
    if len(found) > 1 and not (settings and dataset) and not (config and concepts):
        raise SettingsFileError("The files are of one kind each that don't belong together: import one of them.")
    files = Remembered(files)
    try:
        if settings or dataset:
            return _finished(import_kohya(settings, dataset, files), "kohya")
        return _finished(import_onetrainer(config, concepts, files), "OneTrainer")
    except SdftError:
        raise
    except (ArithmeticError, TypeError, ValueError) as error:
        raise SettingsFileError(
            f"{' and '.join(one.name for one in found)} can't be imported: a value can't be used "
            f"({printable(str(error))[:200]}). Correct it and import again."
        ) from error


def _finished(draft: Draft, program: str) -> Imported:
    """Return the result; what keeps the recipe from being used is reported too."""
    for problem in problems(draft.recipe):
        draft.note(f"Before training: {problem}")
    return Imported(program, draft.recipe, tuple(draft.taken), tuple(draft.left))
