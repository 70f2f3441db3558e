"""The program's own folder inside a dataset's folder: hidden, so that scans skip it."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import SdftError
from .text import printable

NAME = ".sdft"


class HiddenFolderError(SdftError, ValueError):
    """The folder can't be used; the message names it and says what to do."""


def hidden_folder(root: Path, *names: str, make: bool = False) -> Path:
    """Return a folder for the program's own files in a dataset's folder, such as ``root/.sdft/trash``.

    Raises HiddenFolderError where ``make`` fails, or where a link, which may lead anywhere, stands in its place.
    """
    path = root
    for name in (NAME, *names):
        path = path / name
        if path.is_symlink():
            raise HiddenFolderError(f"{printable(path)} is a link; remove it, so that a folder can be made there.")
    if make:
        if not root.is_dir():
            raise HiddenFolderError(f"The folder {printable(root)} is gone; put it back, or choose another one.")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HiddenFolderError(
                f"{printable(root)} can't be written ({os.strerror(error.errno or 0)}); change its permissions, or "
                "copy the pictures to another folder."
            ) from error
    return path
