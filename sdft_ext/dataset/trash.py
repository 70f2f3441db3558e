"""The trash of a dataset: removed pictures are moved to a hidden folder in it, never deleted, and can be restored.

Each removal is a folder under ``.sdft/trash`` with the files under their relative paths, and ``removal.json``, which is
written before the first file is moved: whenever a program ends, every file is either in its place or in the trash.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import SdftError
from ..storage import json_file
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from . import links, pairing
from .pairing import CAPTION_ENDINGS
from .pictures import EXTENSIONS

TRASH, RECORD, FILES = "trash", "removal.json", "files"


class TrashError(SdftError, ValueError):
    """Nothing was moved; the message names the file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Removal:
    """Files that were removed together: id, time in seconds, and their paths relative to the dataset's folder."""

    id: str
    time: float
    files: tuple[str, ...]


class Trash:
    """The trash of one dataset folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def remove(self, paths: Sequence[Path], *, sidecars: bool = True) -> Removal:
        """Move pictures to the trash, with ``sidecars`` also their captions and masks.

        Raises TrashError where one of them can't be moved; then none is.
        """
        files = list(
            dict.fromkeys(file for path in paths for file in (self._with_sidecars(path) if sidecars else [path]))
        )
        relative = [self._relative(path) for path in files]
        self._sweep()
        try:
            folder = hidden_folder(self.root, TRASH, f"{time.time_ns():x}-{secrets.token_hex(3)}", make=True)
        except HiddenFolderError as error:
            raise TrashError(str(error)) from error
        removal = Removal(folder.name, time.time(), tuple(relative))
        moved: list[tuple[Path, Path]] = []
        try:
            json_file.write(folder / RECORD, {"time": removal.time, "files": relative})
            for source, name in zip(files, relative, strict=True):
                target = folder / FILES / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(source, target)
                moved.append((source, target))
        except OSError as error:
            self._put_back(moved, folder)
            what = printable(getattr(error, "filename", None) or self.root)
            raise TrashError(
                f"Nothing was removed: {what} can't be moved ({error.strerror or error}); change the folder's "
                "permissions, or scan the folder again if the file is gone."
            ) from error
        return removal

    def _put_back(self, moved: Sequence[tuple[Path, Path]], folder: Path) -> None:
        """Undo a removal that failed. Raises TrashError where that fails too: the files are in the trash then."""
        try:
            for source, target in reversed(moved):
                shutil.move(target, source)
        except OSError as error:
            raise TrashError(
                f"Some of the pictures are in the trash, {printable(folder)}, and can't be moved back now "
                f"({error.strerror or error}): restore them from there."
            ) from error
        shutil.rmtree(folder, ignore_errors=True)

    def removals(self) -> list[Removal]:
        """Return the removals in the trash, newest first; those with an unreadable record are skipped."""
        try:
            folders = sorted(hidden_folder(self.root, TRASH).iterdir(), reverse=True)
        except (OSError, HiddenFolderError):
            return []
        found = (self._read(folder) for folder in folders)
        return [removal for removal in found if removal is not None]

    def restore(self, id: str) -> list[Path]:
        """Move the files of a removal back, and return their paths. Raises TrashError where a path is taken; then
        nothing is moved.
        """
        removal = next((removal for removal in self.removals() if removal.id == id), None)
        if removal is None:
            raise TrashError("This removal is no longer in the trash; reload the list.")
        self._sweep()
        folder = hidden_folder(self.root, TRASH, removal.id)
        pairs = [(self.file(removal, name), self.root / name) for name in removal.files]
        waiting = [(source, target) for source, target in pairs if os.path.lexists(source)]
        for _, target in waiting:
            if os.path.lexists(target):
                raise TrashError(f"{printable(target)} exists again: rename it, then restore the removed one.")
            self._check_folder(target)
        for source, target in waiting:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(source, target)
            except OSError as error:
                raise TrashError(
                    f"{printable(target)} can't be restored ({error.strerror}); it is still in the trash: "
                    f"{printable(source)}."
                ) from error
        shutil.rmtree(folder, ignore_errors=True)
        return [target for _, target in waiting]

    def file(self, removal: Removal, name: str) -> Path:
        """Return a removed file's path in the trash. Raises HiddenFolderError or TrashError where a link would lead out
        of it.
        """
        folder = hidden_folder(self.root, TRASH, removal.id, FILES)
        path = folder / name
        if not _within(path.parent, folder):
            raise TrashError(f"{printable(path.parent)} is a link that leads out of the trash; remove the link first.")
        return path

    def _sweep(self) -> None:
        """Remove what earlier removals left in the trash when they were restored: folders without a record or files."""
        try:
            left = [folder for folder in hidden_folder(self.root, TRASH).iterdir() if not (folder / RECORD).exists()]
        except (OSError, HiddenFolderError):
            return
        for top in left:
            for folder, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):  # it holds a file: that stays
                    os.rmdir(folder)

    def _read(self, folder: Path) -> Removal | None:
        try:
            record = json_file.read(folder / RECORD)
            files = tuple(str(name) for name in record["files"])
            removed = float(record["time"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        safe = all(_is_relative(name) for name in files) and not folder.is_symlink()
        return Removal(folder.name, removed, files) if safe else None

    def _relative(self, path: Path) -> str:
        below = path.relative_to(self.root).as_posix() if self.root in path.parents else ""
        if not _is_relative(below):
            raise TrashError(f"{printable(path)} is not in the folder {printable(self.root)}; scan the folder again.")
        self._check_folder(path)
        return below

    def _check_folder(self, path: Path) -> None:
        """Raise TrashError where a link leads to the file's folder. The file itself may be one: it is moved as such."""
        try:
            links.check_write(self.root, path.parent)
        except links.LinkError as error:
            raise TrashError(str(error)) from error

    def _with_sidecars(self, path: Path) -> list[Path]:
        """Return the file, and the caption and mask that belong only to it. Raises TrashError where it is gone."""
        if not os.path.lexists(path):
            raise TrashError(f"{printable(path)} is gone; scan the folder again.")
        found = [path]
        try:
            others = sorted(entry.name for entry in os.scandir(path.parent))
        except OSError:
            return found
        if path.suffix.lower() in CAPTION_ENDINGS:
            return found
        masks = pairing.masks([name for name in others if _is_picture(name)])
        if path.name in masks:
            return found
        pictures = sorted({path.name, *(name for name in others if _is_picture(name) and name not in masks)})
        texts = [name for name in others if os.path.splitext(name)[1].lower() in CAPTION_ENDINGS]
        captions, _ = pairing.captions(pictures, texts, ())
        if [name for name in pictures if os.path.splitext(name)[0] == path.stem] != [path.name]:
            return found  # what two pictures share stays
        own = os.path.splitext(captions.get(path.name, ""))[0]
        sidecars = [name for name in texts if os.path.splitext(name)[0] == own]
        sidecars += [name for name, stem in masks.items() if stem == path.stem]
        return [*found, *(path.parent / name for name in sidecars)]


def _within(folder: Path, root: Path) -> bool:
    """Return whether a folder is ``root`` or inside it, with links resolved."""
    real, real_root = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    return real == real_root or real_root in real.parents


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _is_relative(name: str) -> bool:
    """Return whether a name from a record stays below its folder."""
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name
    )
