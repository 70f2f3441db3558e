"""Masks that a user paints, stored where the dataset reads them: NAME-mask.png beside the picture. White trains."""

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

from ..dataset import names
from ..dataset.folder import Picture
from ..dataset.pictures import EXTENSIONS, open_mask, open_picture
from ..storage import atomic
from ..storage.hidden_folder import HiddenFolderError, hidden_folder
from ..storage.text import printable
from .options import PreparationError
from .record import stamp

PREFIX = "data:image/png;base64,"
MOST_BYTES = 8 * 2**20
SIDE = 1024
"""Pixels of the longer side that masks are painted at."""
FORMER = "masks"
"""In the program's own folder: masks that were replaced."""
_STORING = threading.Lock()
"""Between the look at what is there and its replacement nobody else may store."""


class MaskChanged(PreparationError):
    """Somebody else has changed the mask meanwhile."""


def version(picture: Picture) -> str:
    """Changes when the picture's mask file does; '' where there is none."""
    path = _path(picture)
    found = stamp(path)
    return "" if found is None else f"{path.name}:{found[0]}:{found[1]}"


def read(picture: Picture, from_alpha: bool = False) -> str:
    """The picture's mask, or its alpha, as a PNG's data URL of at most 1024 pixels a side; '' where there is none.

    Raises PictureError where a file can't be read.
    """
    size = painted_size(picture)
    if from_alpha:
        _, mask = open_picture(picture.path)
        mask = None if mask is None else mask.resize(size, Image.Resampling.BOX)
    else:
        path = _path(picture)
        mask = open_mask(path, size) if path.is_file() else None
    if mask is None:
        return ""
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return PREFIX + base64.b64encode(buffer.getvalue()).decode()


def write(picture: Picture, data: str, before: str) -> str:
    """Store a painted mask (a PNG's data URL) at the picture's size, and give its version.

    ``before`` is the version that was painted over: former masks are kept in the program's own folder. Raises
    PreparationError where the data are no mask, MaskChanged where the file is another by now.
    """
    mask = _painted(picture, data)
    if mask.getextrema()[1] == 0:
        raise PreparationError(
            "The mask is all black, so nothing of the picture would be learnt; paint what is to be learnt."
        )
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    path = _path(picture).with_suffix(".png")
    with _STORING:
        others = [former for former in _keep_former(picture, before) if former != path]
        try:
            atomic.write(path, lambda file: _write_bytes(file, buffer.getvalue()))
            for former in others:
                former.unlink(missing_ok=True)  # a copy of it is kept
        except OSError as error:
            raise PreparationError(f"The mask was not kept: {printable(error)}.") from error
    picture = dataclasses.replace(picture, mask_path=path)
    return version(picture)


def remove(picture: Picture, before: str) -> None:
    """Without a mask all of the picture is learnt. Copies of what was there are kept in the program's own folder."""
    with _STORING:
        for path in _keep_former(picture, before):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise PreparationError(f"{printable(path)} can't be removed ({error.strerror}).") from error


def painted_size(picture: Picture) -> tuple[int, int]:
    """Width and height that the picture's mask is painted at."""
    share = min(1.0, SIDE / max(picture.width, picture.height))
    return max(round(picture.width * share), 1), max(round(picture.height * share), 1)


def _painted(picture: Picture, data: str) -> Any:
    """The mask in mode L at the picture's size."""
    if not data.startswith(PREFIX) or len(data) > MOST_BYTES:
        raise PreparationError(f"A mask is sent as a PNG's data URL of at most {MOST_BYTES // 2**20} MiB.")
    try:
        raw = base64.b64decode(data[len(PREFIX) :], validate=True)
        with Image.open(io.BytesIO(raw), formats=("PNG",)) as image:
            if image.size != painted_size(picture):
                raise PreparationError(
                    f"The mask has {image.width} × {image.height} pixels where "
                    f"{' × '.join(map(str, painted_size(picture)))} "
                    "are painted; open the picture again."
                )
            mask = image.convert("RGBA")
    except (binascii.Error, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, PreparationError):
            raise
        raise PreparationError("The mask is no PNG that can be read; paint it again.") from error
    behind = Image.new("RGBA", mask.size, (0, 0, 0, 255))
    grey = Image.alpha_composite(behind, mask).convert("L")
    size = picture.width, picture.height
    return grey if grey.size == size else grey.resize(size, Image.Resampling.BILINEAR)


def _path(picture: Picture) -> Path:
    """The mask that the scan has found, or else where one belongs."""
    beside = picture.path.with_name(f"{os.path.splitext(picture.path.name)[0]}-mask.png")
    return beside if picture.mask_path is None else picture.mask_path


def _masks(picture: Picture) -> list[Path]:
    """Every mask of the picture that is there: one of each ending."""
    folder, stem = picture.path.parent, os.path.splitext(picture.path.name)[0]
    endings = ((name, os.path.splitext(name)) for name in sorted(os.listdir(folder)))
    found = [
        folder / name for name, (of, ending) in endings if names.mask_of(of) == stem and ending.lower() in EXTENSIONS
    ]
    path = _path(picture)
    return found if path in found or stamp(path) is None else [path, *found]


def _keep_former(picture: Picture, before: str) -> list[Path]:
    """Copy the masks that are there into the program's own folder, and name them.

    Raises MaskChanged where the one that is read isn't that of ``before``.
    """
    path = _path(picture)
    if version(picture) != before:
        raise MaskChanged(f"{printable(path)} was changed by another program meanwhile; open the mask again.")
    try:
        found = _masks(picture)
        for path in found:
            kept = hidden_folder(path.parent, FORMER, make=True) / f"{path.stem}-{time.time_ns():x}{path.suffix}"
            shutil.copy2(path, kept)
    except HiddenFolderError as error:
        raise PreparationError(str(error)) from error
    except OSError as error:
        raise PreparationError(
            f"{printable(path)} can't be kept ({error.strerror}); change the folder's permissions."
        ) from error
    return found


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
