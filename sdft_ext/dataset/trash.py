"""Pictures that a user has taken out of a dataset: moved to a hidden folder in it, never deleted, and put back on
request.

Each removal is a folder under ``.sdft/trash`` that holds the files at the places they had, and ``removal.json``, which
is written before the first file moves: whenever a program ends, every file is either in its place or in the trash.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import SdftError
from ..storage import json_file
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from . import names
from .folder import CAPTION_ENDINGS
from .pictures import EXTENSIONS

TRASH, RECORD, FILES = "trash", "removal.json", "files"


class TrashError(SdftError, ValueError):
    """Nothing was moved; the message names the file, what is in the way, and what to do."""


@dataclass(frozen=True)
class Removal:
    """What was removed with one wish: its id, when (seconds), the files by their names below the dataset's folder."""

    id: str
    time: float
    files: tuple[str, ...]


class Trash:
    """Of one dataset folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def remove(self, paths: Sequence[Path], *, company: bool = True) -> Removal:
        """Move pictures, each with its caption and its mask, out of the dataset. All of them or, with a TrashError,
        none.

        Without ``company`` only these files.
        """
        files = list(
            dict.fromkeys(file for path in paths for file in (self._with_company(path) if company else [path]))
        )
        relative = [self._relative(path) for path in files]
        try:
            place = hidden_folder(self.root, TRASH, f"{time.time_ns():x}-{secrets.token_hex(3)}", make=True)
        except HiddenFolderError as error:
            raise TrashError(str(error)) from error
        removal = Removal(place.name, time.time(), tuple(relative))
        moved: list[tuple[Path, Path]] = []
        try:
            json_file.write(place / RECORD, {"time": removal.time, "files": relative})
            for source, name in zip(files, relative, strict=True):
                target = place / FILES / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(source, target)
                moved.append((source, target))
        except OSError as error:
            for source, target in reversed(moved):
                shutil.move(target, source)
            shutil.rmtree(place, ignore_errors=True)
            what = printable(getattr(error, "filename", None) or self.root)
            raise TrashError(
                f"Nothing was removed: {what} can't be moved ({error.strerror or error}); change the folder's "
                f"permissions, "
                "or look at the folder again if the file is gone."
            ) from error
        return removal

    def removals(self) -> list[Removal]:
        """What lies in the trash, the newest first. Records that can't be read are passed over."""
        try:
            folders = sorted(hidden_folder(self.root, TRASH).iterdir(), reverse=True)
        except (OSError, HiddenFolderError):
            return []
        found = (self._read(folder) for folder in folders)
        return [removal for removal in found if removal is not None]

    def restore(self, id: str) -> list[Path]:
        """Put the files of a removal back, and give their paths. Raises TrashError where a place is taken: nothing
        moves.
        """
        removal = next((one for one in self.removals() if one.id == id), None)
        if removal is None:
            raise TrashError("This removal is not in the trash any more; look at the list again.")
        place = hidden_folder(self.root, TRASH, removal.id)
        pairs = [(self.file(removal, name), self.root / name) for name in removal.files]
        waiting = [(source, target) for source, target in pairs if os.path.lexists(source)]
        for _, target in waiting:
            if os.path.lexists(target):
                raise TrashError(f"{printable(target)} is there again: rename it, then put the removed one back.")
            if not _within(target.parent, self.root):
                raise TrashError(
                    f"{printable(target.parent)} is a link out of the dataset's folder; remove the link first."
                )
        for source, target in waiting:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(source, target)
            except OSError as error:
                raise TrashError(
                    f"{printable(target)} can't be put back ({error.strerror}); it is in the trash still: "
                    f"{printable(source)}."
                ) from error
        shutil.rmtree(place, ignore_errors=True)
        return [target for _, target in waiting]

    def file(self, removal: Removal, name: str) -> Path:
        """Where a removed file lies now. Raises HiddenFolderError or TrashError where a link would lead out of the
        trash.
        """
        place = hidden_folder(self.root, TRASH, removal.id, FILES)
        path = place / name
        if not _within(path.parent, place):
            raise TrashError(f"{printable(path.parent)} is a link out of the trash; remove the link first.")
        return path

    def _read(self, folder: Path) -> Removal | None:
        try:
            told = json_file.read(folder / RECORD)
            files = tuple(str(name) for name in told["files"])
            when = float(told["time"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        good = all(_plain(name) for name in files) and not folder.is_symlink()
        return Removal(folder.name, when, files) if good else None

    def _relative(self, path: Path) -> str:
        below = path.relative_to(self.root).as_posix() if self.root in path.parents else ""
        if not _plain(below):
            raise TrashError(
                f"{printable(path)} is not in the folder {printable(self.root)}; look at the folder again."
            )
        return below

    def _with_company(self, path: Path) -> list[Path]:
        """The file, and the caption and mask that belong to it alone."""
        if not os.path.lexists(path):
            raise TrashError(f"{printable(path)} is gone; look at the folder again.")
        found = [path]
        try:
            beside = [entry.name for entry in os.scandir(path.parent) if entry.name != path.name]
        except OSError:
            return found
        same = [name for name in beside if os.path.splitext(name)[0] == path.stem]
        if path.suffix.lower() in CAPTION_ENDINGS or any(_is_picture(name) for name in same):
            return found  # a caption goes alone, and one that two pictures share stays
        company = [name for name in same if os.path.splitext(name)[1].lower() in CAPTION_ENDINGS]
        company += [
            name for name in beside if _is_picture(name) and names.mask_of(os.path.splitext(name)[0]) == path.stem
        ]
        return [*found, *(path.parent / name for name in company)]


def _within(folder: Path, root: Path) -> bool:
    """Whether a folder is ``root`` or lies in it, wherever links lead."""
    real, home = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    return real == home or home in real.parents


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _plain(name: str) -> bool:
    """Whether a name from a record stays below its folder."""
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name
    )
