"""Settings of other programs, imported for a page: read where the page may read, and shown with a report."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..dataset.folder import DatasetError
from ..importing import (
    MAX_BYTES,
    MOST_FILES,
    FoundPicture,
    Imported,
    content_of,
    folders_in,
    found_pictures,
    import_settings,
    on_network,
)
from ..recipe import Concept, DatasetRecipe
from ..recipe import file as recipe_file
from ..storage.regular_file import read_start
from ..storage.text import printable, unquoted
from .errors import DeskError
from .folders import Folders, within
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
        own: list[Path] = []
        for text in paths:
            path = self._folders.file_of(unquoted(text))
            contents[str(path)] = _read(path)
            own.append(path.parent)
        files = AllowedFiles(self._folders, self._scans, own)
        answer = _described(import_settings(contents, files))
        if files.outside and self._folders.may_add():
            answer["left"].append(
                "Nothing outside the allowed folders was looked up. Choose the folder of your pictures in Dataset, "
                "then import again: pictures and steps are counted, and trigger words found."
            )
        return answer


class AllowedFiles:
    """What an import may read: ``importing.files.Files``, within the allowed folders and ``own``, those of the settings
    files that the user has named. Even a check whether another path exists could send this machine's login over the
    network, as the file is a stranger's. ``outside``: whether it names a folder of pictures elsewhere.

    Relative paths start at one of ``own``, or in the folder above it, and stay in there.
    """

    def __init__(self, folders: Folders, scans: Scans, own: Sequence[Path]) -> None:
        self._folders, self._scans, self._own = folders, scans, list(own)
        self._refused = set[str]()
        self.outside = False

    def find(self, path: str) -> str:
        path = os.path.expanduser(unquoted(path))
        if os.path.isabs(path):
            candidates = [(path, self._own)]
        elif on_network(path):  # as Windows reads it; other systems would look for a file of this name
            return ""
        else:
            bases = [base for own in self._own for base in (own, own.parent) if base.parent != base]
            candidates = [(str(base / path), [base]) for base in bases]
        for one, mine in candidates:
            try:
                if within(one, mine) or self._folders.contain(one):
                    return str(self._folders.file_of(one))
                self._refused.add(path)
            except (DeskError, OSError, ValueError):
                continue
        return ""

    def read(self, path: str) -> bytes | None:
        return content_of(self.find(path))

    def folders(self, path: str) -> list[str] | None:
        return folders_in(self._folder(path))

    def pictures(self, folder: str) -> list[FoundPicture] | None:
        found = self._folder(folder)
        if not os.path.isdir(found):
            return None
        try:
            self._folders.check_links(Path(found))
            return found_pictures(self._scans.get(DatasetRecipe(concepts=[Concept(instance=found)])), found)
        except (DatasetError, DeskError):
            return None

    def _folder(self, path: str) -> str:
        found = self.find(path)
        self.outside |= os.path.expanduser(unquoted(path)) in self._refused
        return found


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
