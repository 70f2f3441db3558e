"""Find how a picture must be turned to stand upright, wherever its file says so; no pixels are decoded."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any, BinaryIO

from PIL import Image

TAG = 0x0112
"""EXIF's orientation (Exif 2.32, §4.6.4): 1 to 8."""
MOST = 2**22
"""Bytes of a chunk, packed and unpacked, that are read."""
_RAW = tuple(f"Raw profile type {name}" for name in ("exif", "APP1", "xmp"))
_XMP = "XML:com.adobe.xmp"
"""Keywords of PNG texts: ImageMagick's way of keeping EXIF and XMP (APP1 may be either), and XMP."""
_EXIF = (b"Exif\0\0", b"II*\0", b"MM\0*")
"""How EXIF data begin."""
_IN_XMP = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])""")


def orientation(image: Any, file: BinaryIO) -> int:
    """Return a picture's orientation, 1–8: from EXIF, or else from XMP; 1 where neither has one.

    ``file`` is the one that ``image`` is read from. A PNG may have both behind its pixels, where Pillow finds them only
    after decoding. Raises what a damaged file makes Pillow raise.
    """
    if image.format == "TIFF":
        return int(image.tag_v2.get(TAG, 1))
    info = dict(image.info)
    if image.format == "PNG":
        info = {**_late_chunks(file), **info}
    raw = [_unpacked(info[name]) for name in _RAW if name in info]
    exifs = [info.get("exif"), *(data for data in raw if data.startswith(_EXIF))]
    found = next((value for data in exifs if data and (value := _in_exif(data)) is not None), None)
    if found is None:
        xmps = [info.get(_XMP) or info.get("xmp") or b"", *(data for data in raw if not data.startswith(_EXIF))]
        found = next((value for xmp in xmps if (value := _in_xmp(xmp)) is not None), None)
    return 1 if found is None else found


def _in_xmp(xmp: str | bytes) -> int | None:
    match = _IN_XMP.search(xmp.encode("utf-8", "replace") if isinstance(xmp, str) else bytes(xmp))
    return int(match[1]) if match else None


def _in_exif(data: bytes) -> int | None:
    exif = Image.Exif()
    exif.load(data)
    found = exif.get(TAG)
    return None if found is None else int(found)


def _unpacked(profile: str | bytes) -> bytes:
    """Return the data of a raw profile: a line break, its name, its length, and hexadecimal digits."""
    text = profile.decode("latin-1") if isinstance(profile, bytes) else str(profile)
    return bytes.fromhex("".join(text.split("\n")[3:]))


def _late_chunks(file: BinaryIO) -> dict[str, Any]:
    """Return the EXIF and XMP of a PNG's chunks behind the pixels, by Pillow's names; the file's position is kept."""
    found: dict[str, Any] = {}
    position, place, behind = file.tell(), 8, False
    try:
        while True:
            file.seek(place)
            start = file.read(8)
            if len(start) < 8 or start[4:] == b"IEND":
                return found
            (length,) = struct.unpack(">I", start[:4])
            kind = start[4:]
            behind = behind or kind == b"IDAT"
            if behind and length <= MOST:
                if kind == b"eXIf":
                    found["exif"] = file.read(length)
                elif kind in (b"tEXt", b"zTXt", b"iTXt"):
                    name, text = _text(kind, file.read(length))
                    if name in (*_RAW, _XMP):
                        found[name] = text
            place += 12 + length
    finally:
        file.seek(position)


def _text(kind: bytes, data: bytes) -> tuple[str, bytes]:
    """Return keyword and text of a PNG's text chunk (PNG 1.2, §4.2.3)."""
    keyword, _, rest = data.partition(b"\0")
    packed = kind == b"zTXt"
    if packed:
        rest = rest[1:]  # the method: there is only one
    elif kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return keyword.decode("latin-1"), zlib.decompressobj().decompress(rest, MOST) if packed else rest
