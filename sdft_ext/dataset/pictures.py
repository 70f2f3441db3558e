"""Read picture files: the header, and the pixels, upright and in RGB, with the alpha or the mask.

Pixel values are used as they are stored (sRGB, no gamma correction, colour profiles not applied), because the base
models were trained that way.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageColor, ImageFile, UnidentifiedImageError

from ..errors import SdftError
from ..storage.regular_file import NotRegularFile, open_regular, read_start
from ..storage.text import printable
from . import orientation

EXTENSIONS = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".apng",
        ".webp",
        ".bmp",
        ".dib",
        ".gif",
        ".tif",
        ".tiff",
        ".avif",
        ".avifs",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".jp2",
    }
)
UNREADABLE = frozenset(
    {
        ".heic",
        ".heif",
        ".jxl",
        ".svg",
        ".psd",
        ".xcf",
        ".kra",
        ".raw",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".dng",
        ".orf",
        ".rw2",
        ".exr",
        ".hdr",
        ".tga",
        ".jxr",
        *(".ico", ".icns", ".pcx", ".sgi", ".wmf", ".eps", ".ai", ".pdf", ".raf", ".pef", ".sr2", ".indd"),
        *(".mp4", ".mov", ".mkv", ".webm", ".avi"),
    }
)
"""Extensions of common picture formats that can't be read; such files are reported as problems."""

MIN_SIDE = 16
"""Least side in pixels: two cells of the latents."""
MAX_PIXELS = 178_956_970
"""The size from which Pillow regards a file as a decompression bomb."""
MAX_BYTES = 2**31
"""Larger files aren't opened: that many pixels, uncompressed and of 16 bits, are smaller."""
MAX_ASPECT = 10.0
"""Largest aspect ratio. Buckets end near 4 : 1, so less than half of a longer picture would be seen."""

_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "PPM", "JPEG2000")
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF orientation → ``Image.transpose`` method: flips 0 and 1, turns 2–4, transpose 5, transverse 6."""
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
"""Errors that Pillow's readers raise on damaged files."""


class PictureError(SdftError, ValueError):
    """A picture can't be used; the message names the file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Header:
    """A picture's header. Width and height in pixels, upright; ``several``: whether it has more frames than one."""

    width: int
    height: int
    has_alpha: bool
    format: str
    several: bool = False


def read_header(path: Path) -> Header:
    """Read size, transparency and format without decoding pixels.

    Raises PictureError where the file isn't a picture that can be trained on.
    """
    try:
        with _opened(path) as (image, file):
            width, height = _upright_size(image, _orientation(image, file))
            header = Header(width, height, _has_alpha(image), str(image.format), _has_several_frames(image))
    except UnidentifiedImageError as error:
        raise PictureError(
            f"{printable(path)} {_what_it_is(path)}; replace it with a JPEG or PNG, or remove it."
        ) from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{printable(path)} claims more than {MAX_PIXELS:,} pixels; make it smaller.") from error
    except NotRegularFile as error:
        raise PictureError(f"{printable(path)} is a pipe, device or socket, not a file; remove it.") from error
    except FileNotFoundError as error:
        raise PictureError(f"{printable(path)} is gone; put it back or scan again.") from error
    except PermissionError as error:
        raise PictureError(f"{printable(path)} can't be read: permission denied; change its permissions.") from error
    except _BROKEN as error:
        raise PictureError(f"{printable(path)} is damaged ({error}); replace or remove it.") from error
    _check_size(path, header.width, header.height)
    return header


def open_picture(path: Path, background: str = "white", at_least: tuple[int, int] | None = None) -> tuple[Any, Any]:
    """Open the first frame, upright: return an RGB picture on ``background``, and its alpha (mode L) or None.

    ``at_least`` (width, height) allows a JPEG to be decoded at a half, quarter or eighth, never below twice that size.
    Raises PictureError where the file is damaged or cut off.
    """
    image = _decode(path, at_least)
    if not _has_alpha(image):
        return _to_rgb(image), None
    image = _to_rgba(image)
    alpha = image.getchannel("A")
    backdrop = Image.new("RGBA", image.size, (*colour(background), 255))
    return Image.alpha_composite(backdrop, image).convert("RGB"), alpha


def open_mask(path: Path, size: tuple[int, int]) -> Any:
    """Open a mask in mode L at ``size`` (width, height); white is trained, and transparent parts count as black."""
    rgb, alpha = open_picture(path, "black")
    mask = rgb.convert("L") if alpha is None or rgb.getextrema() != ((0, 0),) * 3 else alpha
    return mask if mask.size == size else mask.resize(size, Image.Resampling.BILINEAR)


def colour(name: str) -> tuple[int, int, int]:
    """Parse a colour name or #rrggbb into RGB, 0–255. Raises PictureError where there is no such colour."""
    try:
        return tuple(ImageColor.getrgb(name.strip())[:3])
    except ValueError as error:
        raise PictureError(
            f"dataset.background is {printable(name)!r}, which isn't a colour; write a name such as 'white' or #rrggbb."
        ) from error


def to_pixels(image: Any) -> np.ndarray:
    """Convert an RGB picture to float32 [3, height, width] in [-1, 1]."""
    values = np.asarray(image, dtype=np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1)) / np.float32(127.5) - np.float32(1)


def to_latent_mask(mask: Any, factor: int = 8) -> np.ndarray:
    """Average a mask (mode L) over the latents' cells: float32 [height/factor, width/factor] in [0, 1]."""
    values = np.asarray(mask, dtype=np.float32) / np.float32(255)
    height, width = values.shape
    cells = values.reshape(height // factor, factor, width // factor, factor)
    return np.ascontiguousarray(cells.mean(axis=(1, 3), dtype=np.float32))


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, BinaryIO]]:
    """Open a picture and the file that it is read from. Raises PictureError, and what Pillow and the system raise."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise PictureError(f"{printable(path)} is larger than {MAX_BYTES // 2**30} GB; make it smaller.")
        with Image.open(file, formats=_formats()) as image:
            yield image, file


def _orientation(image: Any, file: BinaryIO) -> int:
    """Return the orientation, 1–8, without decoding; 1 where there is none or it can't be read."""
    try:
        return orientation.orientation(image, file)
    except _BROKEN:
        return 1


def _upright_size(image: Any, turned: int) -> tuple[int, int]:
    # Some Pillow versions swap a TIFF's size themselves, so its own tags are read.
    width, height = (image.tag_v2[256], image.tag_v2[257]) if image.format == "TIFF" else image.size
    return (height, width) if turned in (5, 6, 7, 8) else (width, height)


def _png_pixels(image: Any, file: BinaryIO) -> tuple[int, int]:
    """Return a PNG's bits per channel and its colour type (PNG 1.2, §4.1.1); (8, -1) for other formats."""
    if image.format != "PNG":
        return 8, -1
    position = file.tell()
    file.seek(24)
    depth, kind = file.read(2)
    file.seek(position)
    return depth, kind


def _scale_transparent(image: Any, depth: int, kind: int) -> None:
    """Scale a PNG's transparent colour as Pillow scales the pixels that it is compared with."""
    value = image.info.get("transparency")
    if kind == 0 and depth < 8 and isinstance(value, int):
        image.info["transparency"] = value * 255 // (2**depth - 1)
    elif kind == 2 and depth == 16 and isinstance(value, tuple):
        image.info["transparency"] = tuple(part >> 8 for part in value)


def _scaled_tiff(image: Any, bits: int, white_is_zero: bool) -> Any:
    """Scale a TIFF's greys of 12 bits to 16, and invert those of 16 bits whose white is 0, both of which Pillow leaves
    as they are stored (TIFF 6.0, PhotometricInterpretation).
    """
    if not image.mode.startswith("I;16") or (bits == 16 and not white_is_zero):
        return image
    most = 2**bits - 1
    values = np.asarray(image).astype(np.uint32) * 65535 // most
    return Image.fromarray((65535 - values if white_is_zero else values).astype(np.uint16))


def _has_alpha(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _has_several_frames(image: Any) -> bool:
    """Return whether a picture moves or has several pages; no further frame is decoded, and no list of them is read."""
    try:
        if image.format == "TIFF":
            image.seek(1)
            return True
        return image.format in ("GIF", "WEBP", "PNG", "AVIF") and bool(getattr(image, "is_animated", False))
    except _BROKEN:
        return False


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{printable(path)} claims {width:,} × {height:,} pixels, too many to open; make it smaller."
        )
    if min(width, height) < MIN_SIDE:
        raise PictureError(
            f"{printable(path)} is only {width:,} × {height:,} pixels; use pictures of at least {MIN_SIDE} pixels a "
            "side."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError(
            f"{printable(path)} is a strip of {width:,} × {height:,} pixels; crop it to less than {MAX_ASPECT:g} to 1."
        )


def _decode(path: Path, at_least: tuple[int, int] | None) -> Any:
    """Decode the first frame, upright, in the file's own mode. Raises PictureError."""
    try:
        with _opened(path) as (image, file):
            turned = _orientation(image, file)
            width, height = _upright_size(image, turned)
            _check_size(path, width, height)
            # Pillow rotates a TIFF itself when it decodes it.
            turn = None if image.format == "TIFF" else _TURNS.get(turned)
            pixels = _png_pixels(image, file)
            if at_least is not None and image.format in ("JPEG", "MPO"):
                sides = at_least if (width, height) == image.size else at_least[::-1]
                image.draft(None, (2 * sides[0], 2 * sides[1]))
            if image.format == "PNG" and image.mode == "P" and image.palette is None:
                raise OSError("its palette is missing")
            image.load()
            if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
                raise OSError("it has numbers that are NaN or infinite")
            if ImageFile.LOAD_TRUNCATED_IMAGES and _lacks_end(path, str(image.format)):
                raise OSError("image file is truncated")
            _scale_transparent(image, *pixels)
            if image.format == "TIFF":
                bits, white = image.tag_v2.get(258, (1,)), image.tag_v2.get(262, 1)
                return _scaled_tiff(image.copy(), int(bits[0]), white == 0)
            return image.copy() if turn is None else image.transpose(turn)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PictureError(f"{printable(path)} {_what_it_is(path)}; replace or remove it.") from error
    except PictureError:
        raise
    except NotRegularFile as error:
        raise PictureError(f"{printable(path)} is a pipe, device or socket, not a file; remove it.") from error
    except FileNotFoundError as error:
        raise PictureError(f"{printable(path)} is gone; put it back or scan again.") from error
    except MemoryError as error:
        raise PictureError(f"{printable(path)} doesn't fit into memory; make it smaller.") from error
    except _BROKEN as error:
        raise PictureError(f"{printable(path)} is damaged or cut off ({error}); replace or remove it.") from error


def _lacks_end(path: Path, format: str) -> bool:
    """Return whether a PNG or JPEG lacks its end marker. Pillow reports truncated files itself, unless other code in
    this process has told it to fill them with grey.
    """
    mark = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}.get(format)
    if mark is None:
        return False
    with open_regular(path) as file:
        file.seek(max(os.fstat(file.fileno()).st_size - 65_536, 0))
        return mark not in file.read()


def _to_rgba(image: Any) -> Any:
    """Convert a mode with transparency to RGBA. Pillow cuts 16-bit greys off at 255, where they have transparency."""
    if not image.mode.startswith("I"):
        return image.convert("RGBA")
    visible = np.asarray(image).astype(np.int64) != image.info["transparency"]
    rgba = _to_rgb(image)
    rgba.putalpha(Image.fromarray(visible.astype(np.uint8) * 255))
    return rgba


def _to_rgb(image: Any) -> Any:
    """Convert any mode to RGB. 16-bit greys keep their upper 8 bits; floats in 0–1 are scaled to 0–255."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        top = 65535.0 if image.mode != "F" else 1.0
        if values.size and values.max() > top:
            top = 255.0 if image.mode == "F" and values.max() <= 255 else float(values.max())
        grey = np.clip(np.rint(values / top * 255.0), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _what_it_is(path: Path) -> str:
    """Complete the sentence '<file> …' for a file that isn't a known picture."""
    try:
        start = read_start(path, 64)
    except OSError:
        return "can't be read"
    if not start:
        return "is empty (zero bytes)"
    if start[4:8] == b"ftyp":
        return f"is a {start[8:12].decode('latin-1').strip().upper()} picture, which can't be read here"
    if not start.strip(b"\0"):
        return "contains only zeros"
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in start)
    return "contains text, not a picture" if printable == len(start) else "is not a readable picture"
