"""Masks that the user paints, stored where training reads them: NAME-mask.png next to the picture. White is trained."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import io
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from PIL import Image

from ..dataset import pairing
from ..dataset.folder import Picture
from ..dataset.links import LinkError, check_write
from ..dataset.pictures import EXTENSIONS, open_mask, open_picture
from ..storage import atomic
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from .options import PreparationError
from .record import stamp

PREFIX = "data:image/png;base64,"
MAX_BYTES = 8 * 2**20
SIDE = 1024
"""Longer side, in pixels, at which masks are painted."""
BACKUPS = "masks"
"""Folder for replaced masks, in the dataset's hidden folder."""
_LOCK = threading.Lock()
"""Held from the check of a mask's version until it is replaced."""


class MaskChanged(PreparationError):
    """Another program has changed the mask since it was opened."""


def version(picture: Picture) -> str:
    """Return the version of the picture's mask, which changes when the file does; '' where there is no mask."""
    path = _path(picture)
    found = stamp(path)
    return "" if found is None else f"{path.name}:{found[0]}:{found[1]}"


def read(picture: Picture, from_alpha: bool = False) -> str:
    """Return the picture's mask, or its alpha, as a PNG data URL of at most 1024 pixels a side; '' where there is none.

    Raises PictureError where a file can't be read.
    """
    size = painted_size(picture)
    if from_alpha:
        _, mask = open_picture(picture.path)
        mask = None if mask is None else mask.resize(size, Image.Resampling.BOX)
    else:
        path = _path(picture)
        # A link that the scan has left out leads to what must not be shown.
        is_mask = path.is_file() and (picture.mask_path is not None or not path.is_symlink())
        mask = open_mask(path, size) if is_mask else None
    if mask is None:
        return ""
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return PREFIX + base64.b64encode(buffer.getvalue()).decode()


def write(root: Path, picture: Picture, data: str, before: str) -> str:
    """Store a painted mask (a PNG data URL) of a picture below ``root`` at its size, and return its version.

    ``before``: the version that was painted over, of which a backup is kept in the hidden folder. Raises
    PreparationError where the data isn't a mask or a link is in the way, MaskChanged where the file has changed since.
    """
    mask = _painted(picture, data)
    if mask.getextrema()[1] == 0:
        raise PreparationError(
            "The mask is all black, so nothing of the picture would be trained; paint the area to train."
        )
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    path = _path(picture).with_suffix(".png")
    with _LOCK:
        others = [former for former in _back_up(root, picture, before) if former != path]
        try:
            atomic.write(path, lambda file: _write_bytes(file, buffer.getvalue()))
            for former in others:
                former.unlink(missing_ok=True)
        except OSError as error:
            raise PreparationError(f"The mask was not saved: {printable(error)}.") from error
    picture = dataclasses.replace(picture, mask_path=path)
    return version(picture)


def remove(root: Path, picture: Picture, before: str) -> None:
    """Delete the masks of a picture below ``root``, so that all of it is trained; the hidden folder has backups.

    Raises PreparationError where a file can't be deleted, MaskChanged where it has changed since ``before``.
    """
    with _LOCK:
        for path in _back_up(root, picture, before):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise PreparationError(
                    f"{printable(path)} can't be deleted ({error.strerror}); change the folder's permissions."
                ) from error


def painted_size(picture: Picture) -> tuple[int, int]:
    """Return the width and height at which the picture's mask is painted."""
    share = min(1.0, SIDE / max(picture.width, picture.height))
    return max(round(picture.width * share), 1), max(round(picture.height * share), 1)


def _painted(picture: Picture, data: str) -> Any:
    """Decode a painted mask, in mode L and at the picture's size. Raises PreparationError."""
    if not data.startswith(PREFIX) or len(data) > MAX_BYTES:
        raise PreparationError(f"A mask must be a PNG data URL of at most {MAX_BYTES // 2**20} MiB.")
    try:
        raw = base64.b64decode(data[len(PREFIX) :], validate=True)
        with Image.open(io.BytesIO(raw), formats=("PNG",)) as image:
            if image.size != painted_size(picture):
                raise PreparationError(
                    f"The mask has {image.width} × {image.height} pixels instead of "
                    f"{' × '.join(map(str, painted_size(picture)))}; open the picture again."
                )
            mask = image.convert("RGBA")
    except (binascii.Error, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, PreparationError):
            raise
        raise PreparationError("The mask isn't a readable PNG; paint it again.") from error
    behind = Image.new("RGBA", mask.size, (0, 0, 0, 255))
    grey = Image.alpha_composite(behind, mask).convert("L")
    size = picture.width, picture.height
    return grey if grey.size == size else grey.resize(size, Image.Resampling.BILINEAR)


def _path(picture: Picture) -> Path:
    """Return the mask that the scan has found, or else the path where one belongs."""
    default = picture.path.with_name(f"{os.path.splitext(picture.path.name)[0]}-mask.png")
    return default if picture.mask_path is None else picture.mask_path


def _masks(picture: Picture) -> list[Path]:
    """Return every mask of the picture; there may be several, with different endings."""
    folder, stem = picture.path.parent, os.path.splitext(picture.path.name)[0]
    pictures = [name for name in sorted(os.listdir(folder)) if os.path.splitext(name)[1].lower() in EXTENSIONS]
    found = [folder / name for name, owner in pairing.masks(pictures).items() if owner == stem]
    path = _path(picture)
    return found if path in found or stamp(path) is None else [path, *found]


def _back_up(root: Path, picture: Picture, before: str) -> list[Path]:
    """Copy the picture's masks into the hidden folder, and return their paths.

    Raises MaskChanged where the mask's version isn't ``before``, PreparationError where it can't be copied.
    """
    path = _path(picture)
    if version(picture) != before:
        raise MaskChanged(f"{printable(path)} has been changed by another program; open the mask again.")
    try:
        found = _masks(picture)
        for path in (_path(picture).with_suffix(".png"), *found):
            check_write(root, path)
        for path in found:
            backup = hidden_folder(path.parent, BACKUPS, make=True) / f"{path.stem}-{time.time_ns():x}{path.suffix}"
            shutil.copy2(path, backup)
    except (HiddenFolderError, LinkError) as error:
        raise PreparationError(str(error)) from error
    except OSError as error:
        raise PreparationError(
            f"{printable(path)} can't be backed up ({error.strerror}); change the folder's permissions."
        ) from error
    return found


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
