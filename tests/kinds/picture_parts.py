"""Parts of bad pictures: a picture of four colours, in many files, modes and orientations."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy
from PIL import Image, ImageCms

from .kind import Maker

RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 20), (20, 20, 230), (240, 240, 240)
CORNERS = (RED, GREEN, BLUE, WHITE)
"""Of the upright picture: top left, top right, bottom left, bottom right."""
SIZE = (64, 48)
UNDO = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""EXIF's orientation → the transposition after which a picture is stored like that."""


def four(size: tuple[int, int] = SIZE) -> Any:
    """A picture of four colours, one in each quarter."""
    image = Image.new("RGB", size)
    w, h = size[0] // 2, size[1] // 2
    for (x, y), colour in zip(((0, 0), (w, 0), (0, h), (w, h)), CORNERS, strict=True):
        image.paste(colour, (x, y, x + size[0], y + size[1]))
    return image


def data(image: Any = None, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or four()).save(buffer, format, **({"quality": 95} if format in ("JPEG", "MPO") else {}), **options)
    return buffer.getvalue()


def written(content: bytes | Callable[[], bytes] | Callable[[Path], Any], name: str = "bad.png") -> Maker:
    """Return a maker of a file with this content in the folder of a good picture."""

    def make(folder: Path, _: Random) -> Path:
        Path(folder / "good.png").write_bytes(data(Image.effect_noise((64, 64), 50).convert("RGB")))
        path = folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)  # type: ignore[call-arg]
        return path

    return make


def chunk(kind: bytes, content: bytes, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content) if crc is None else crc)
    )


def png(*chunks: bytes, size: tuple[int, int] = SIZE, depth: int = 8, kind: int = 2) -> bytes:
    """A PNG of these chunks behind its first one."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", *size, depth, kind, 0, 0, 0)) + b"".join(chunks)


def pixels(size: tuple[int, int] = SIZE) -> bytes:
    """The chunk of pixels of the picture of four colours."""
    rows = numpy.asarray(four(size))
    return chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))


END = chunk(b"IEND", b"")


def exif(orientation: Any) -> bytes:
    found = Image.Exif()
    found[0x0112] = orientation
    return found.tobytes()


def xmp(orientation: int) -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()
    )


def stored(orientation: int) -> Any:
    """The picture as a camera stores it that says this orientation."""
    return four().transpose(UNDO[orientation]) if orientation > 1 else four()


def oriented_png(orientation: int, place: str) -> bytes:
    image = stored(orientation)
    raw = exif(orientation)
    profile = f"\nexif\n{len(raw):8}\n{raw.hex()}\n".encode()
    kept = {
        "eXIf": chunk(b"eXIf", raw.removeprefix(b"Exif\0\0")),
        "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(orientation)),
        "packed XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(orientation))),
        "a raw profile": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)),
    }
    rows = numpy.asarray(image)
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    what, _, behind = place.partition(" behind")
    parts = [body, kept[what]] if behind else [kept[what], body]
    return png(*parts, END, size=image.size)


def profile_of(kind: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def moving(format: str) -> bytes:
    return data(four(), format, save_all=True, append_images=[Image.new("RGB", SIZE, n) for n in ("black", "white")])
