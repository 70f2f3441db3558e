"""Settings of other programs, imported for a page: read where the page may read, and shown with a report."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..dataset.folder import DatasetError
from ..importing import MAX_BYTES, MOST_FILES, FoundPicture, Imported, found_pictures, import_settings
from ..recipe import Concept, DatasetRecipe
from ..recipe import file as recipe_file
from ..storage.regular_file import read_start
from ..storage.text import printable, unquoted
from .errors import DeskError
from .folders import Folders
from .scans import Scans


class Imports:
    """Imports of settings. Only what ``folders`` allow is read; nothing is written or kept."""

    def __init__(self, folders: Folders, scans: Scans) -> None:
        self._folders, self._scans = folders, scans

    def run(self, uploaded: Sequence[tuple[str, str]], paths: Sequence[str]) -> dict[str, Any]:
        """Import uploaded files (names and texts) and files at paths of this machine; return recipe and report.

        Raises DeskError for a file that isn't there or allowed, SettingsFileError for one that can't be imported.
        """
        if not 0 < len(uploaded) + len(paths) <= MOST_FILES:
            raise DeskError(f"Choose one file, or {MOST_FILES} that belong together.")
        contents: dict[str, bytes] = {}
        for name, text in uploaded:
            contents[name if name not in contents else f"{name} (2)"] = text.encode("utf-8", "surrogatepass")
        bases: list[Path] = []
        for text in paths:
            path = self._folders.file_of(unquoted(text))
            contents[str(path)] = _read(path)
            bases += [path.parent, path.parent.parent]
        found = import_settings(contents, AllowedFiles(self._folders, self._scans, bases))
        return _described(found)


class AllowedFiles:
    """What an import may read: ``importing.files.Files``, within the folders that the page may use.

    Relative paths start at one of ``bases``; without any, they aren't found.
    """

    def __init__(self, folders: Folders, scans: Scans, bases: Sequence[Path]) -> None:
        self._folders, self._scans, self._bases = folders, scans, list(bases)

    def find(self, path: str) -> str:
        candidates = (
            [path] if os.path.isabs(path) or path.startswith("~") else [str(base / path) for base in self._bases]
        )
        for one in candidates:
            try:
                return str(self._folders.file_of(one))
            except (DeskError, OSError, ValueError):
                continue
        return ""

    def read(self, path: str) -> bytes | None:
        found = self.find(path)
        try:
            return read_start(found, MAX_BYTES + 1) if found else None
        except OSError:
            return None

    def folders(self, path: str) -> list[str] | None:
        found = self.find(path)
        try:
            with os.scandir(found) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        except OSError:
            return None

    def pictures(self, folder: str) -> list[FoundPicture] | None:
        found = self.find(folder)
        if not os.path.isdir(found):
            return None
        try:
            self._folders.check_links(Path(found))
            return found_pictures(self._scans.get(DatasetRecipe(concepts=[Concept(instance=found)])), found)
        except (DatasetError, DeskError):
            return None


def _read(path: Path) -> bytes:
    try:
        return read_start(path, MAX_BYTES + 1)
    except OSError as error:
        raise DeskError(f"{printable(path)} can't be read ({error.strerror}); choose a settings file.") from error


def _described(found: Imported) -> dict[str, Any]:
    """Return an import as in the API. The page trains the loaded model, so the recipe names none."""
    recipe, left = found.recipe, list(found.left)
    if recipe.model.base:
        name = printable(Path(recipe.model.base).name)
        left.append(f"The settings train {name}: load that model, as the page trains the loaded one.")
    recipe.model.base = recipe.model.vae = ""
    return {
        "program": found.program,
        "recipe": dataclasses.asdict(recipe),
        "yaml": recipe_file.dumps(recipe),
        "taken": [dataclasses.asdict(one) for one in found.taken],
        "left": left,
    }
