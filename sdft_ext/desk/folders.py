"""The folders that a page may use: those that the host allows, and those that a local user has typed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..dataset.links import MayRead
from ..recipe import Concept, DatasetRecipe
from ..storage import json_file
from ..storage.text import unquoted
from .errors import DeskError, NotAllowed, NotFound

MOST_FILES = 100_000
"""A folder with more files, subfolders included, was chosen by mistake: it isn't a dataset."""
MOST_REMEMBERED = 200


class Folders:
    """The allowed roots. ``file`` stores typed folders; ``may_add`` returns whether a new one is accepted now.

    Links are resolved before a path is checked: what counts is where a folder really is.
    """

    def __init__(self, file: Path, allowed: Callable[[], Sequence[Path]], may_add: Callable[[], bool]) -> None:
        self.file, self._allowed, self.may_add = file, allowed, may_add
        self._lock = threading.Lock()

    def roots(self) -> list[Path]:
        """Return every root that exists, without duplicates: the host's first, then the typed ones."""
        found: dict[Path, None] = {}
        for path in (*self._allowed(), *(self._remembered() if self.may_add() else ())):
            if path.is_dir():
                found.setdefault(_real(path))
        return list(found)

    def holds(self, path: Path) -> bool:
        """Return whether a path, with its links resolved, is in one of the roots."""
        real = _real(path)
        return any(real == root or root in real.parents for root in self.roots())

    def contain(self, path: str) -> bool:
        """Return whether a path lies in one of the roots as it is written: nothing is looked up there."""
        return within(path, (*self.roots(), *self._allowed()))

    def folder(self, text: str, *, remember: bool = False) -> Path:
        """Return the folder that a request names. Raises DeskError where it names none, or one outside the roots."""
        path = self._allowed_path(text)
        if not path.exists():
            raise NotFound(f"The folder {path} does not exist; check its name.")
        if not path.is_dir():
            raise DeskError(f"{path} is a file; choose the folder that contains it.")
        if remember and not self.holds(path):
            self.remember(path)  # only a local user gets this far
        return path

    def file_of(self, text: str) -> Path:
        """Return the file (or model folder) that a request names. Raises DeskError as ``folder`` does."""
        path = self._allowed_path(text)
        if not path.exists():
            raise NotFound(f"The file {path} does not exist; check its name.")
        return path

    def place(self, text: str) -> Path:
        """Return a folder that a request names and that needn't exist yet. Raises DeskError as ``folder`` does."""
        return self._allowed_path(text)

    def alone(self, folder: Path, linked_folder: str) -> DatasetRecipe:
        """Return a dataset of one folder, whose links may lead into ``linked_folder``, too: what training would read.

        Raises DeskError as ``folder`` does.
        """
        linked = str(self.folder(linked_folder)) if linked_folder.strip() else ""
        return DatasetRecipe(concepts=[Concept(instance=str(folder))], linked_folder=linked)

    def may_show(self, path: Path) -> bool:
        """Return whether the picture at this path may be shown now."""
        return self.may_add() or self.holds(path)

    def remember(self, folder: Path) -> None:
        """Make a folder a root, for later starts too. Raises OSError where the list can't be read or written."""
        with self._lock:
            known = [text for text in json_file.read_to_extend(self.file, []) if isinstance(text, str)]
            newest = [*(path for path in known if path != str(folder)), str(folder)][-MOST_REMEMBERED:]
            json_file.write(self.file, newest)

    def check_links(self, folder: Path) -> None:
        """Raise NotAllowed where a link in a folder leads out of the roots."""
        if self.may_add():
            return
        for entry in walk(folder, self.holds):
            if entry.is_symlink() and not self.holds(Path(entry.path)):
                raise NotAllowed(
                    f"{entry.path} is a link that leads out of the allowed folders; replace it with the file itself, "
                    "or have the file's folder added to the dataset folders in the settings."
                )

    def listing(self, text: str, pictures: Callable[[Path], int]) -> dict[str, Any]:
        """List a folder for a picker; without a path, the roots. ``pictures`` counts the pictures in a folder.

        Raises DeskError as ``folder`` does.
        """
        if not text:
            folders = [{"name": str(root), "path": str(root), "pictures": pictures(root)} for root in self.roots()]
            return {"path": "", "parent": None, "folders": folders, "pictures": 0}
        folder = self.folder(text)
        try:
            with os.scandir(folder) as entries:
                inside = sorted(
                    (e for e in entries if not e.name.startswith(".") and _is_folder(e)), key=lambda e: e.name.lower()
                )
        except OSError as error:
            raise NotAllowed(f"{folder} can't be listed ({error.strerror}); change its permissions.") from error
        shown = [Path(e.path) for e in inside if self.may_add() or self.holds(Path(e.path))]
        above = folder.parent
        has_parent = above != folder and (self.may_add() or self.holds(above))
        return {
            "path": str(folder),
            "parent": str(above) if has_parent else None,
            "folders": [{"name": path.name, "path": str(path), "pictures": pictures(path)} for path in shown],
            "pictures": pictures(folder),
        }

    def _allowed_path(self, text: str) -> Path:
        text = unquoted(text)
        if not text.strip() or "\0" in text:
            raise DeskError("No folder is given; type or choose one.")
        if not self.may_add() and text.startswith(("\\\\", "//")):
            # Even a check whether it exists would send this machine's login over the network.
            raise NotAllowed(f"{text} is on another machine; choose one of the allowed folders.")
        path = Path(os.path.expanduser(text)) if text.startswith("~") and self.may_add() else Path(text)
        if not path.is_absolute():
            raise DeskError(f"{text} is not an absolute path; begin with a drive or /.")
        real = _real(path)
        if not self.may_add() and not self.holds(real):
            raise NotAllowed(
                f"{text} is not in the allowed folders; have it added to the dataset folders in the settings."
            )
        return real

    def _remembered(self) -> list[Path]:
        return [Path(text) for text in json_file.read_or(self.file, []) if isinstance(text, str)]


def within(path: str, folders: Iterable[Path]) -> bool:
    """Return whether an absolute path lies in one of the folders, by their names alone."""
    written = Path(os.path.normpath(path))
    return written.is_absolute() and any(folder in (written, *written.parents) for folder in folders)


def walk(folder: Path, may_read: MayRead, most: int = MOST_FILES) -> list[os.DirEntry[str]]:
    """List every entry below a folder, following links that lead to where one may read, but no circles.

    Raises DeskError where there are too many.
    """
    found: list[os.DirEntry[str]] = []
    seen: set[str] = set()
    waiting = [str(folder)]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(place) as entries:
                listed = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError:
            continue  # the scan reports it
        found += listed
        allowed = (entry for entry in listed if not entry.is_symlink() or may_read(Path(entry.path)))
        waiting += [entry.path for entry in allowed if _is_folder(entry)]
        if len(found) > most:
            raise DeskError(
                f"{folder} contains more than {most:,} files; choose the folder of the pictures themselves."
            )
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _real(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as error:
        raise DeskError(f"{path} can't be resolved ({error}); choose another folder.") from error
