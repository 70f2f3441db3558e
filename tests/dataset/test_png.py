"""PNG chunks that Pillow reads late, or in other units: the orientation and the transparent colour."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdft_ext.dataset import pictures
from sdft_ext.dataset.pictures import open_picture, read_header
from sdft_ext.desk.thumbnails import _thumbnail
from tests.analysis.images import image, save

XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"/></x:xmpmeta>'

NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) & 0xFFFFFFFF)


def exif() -> bytes:
    made = Image.Exif()
    made[0x0112] = 6
    return made.tobytes().removeprefix(b"Exif\0\0")


def raw_profile(data: bytes = b"", name: str = "exif") -> bytes:
    digits = (data or b"Exif\0\0" + exif()).hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    return f"\n{name}\n{len(digits) // 2:8}\n{lines}\n".encode()


CHUNKS = {
    "eXIf": chunk(b"eXIf", exif()),
    "raw profile": chunk(b"tEXt", b"Raw profile type exif\0" + raw_profile()),
    "packed raw profile": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile())),
    "raw APP1 of EXIF": chunk(b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(raw_profile(name="app1"))),
    "raw APP1 of XMP": chunk(
        b"tEXt", b"Raw profile type APP1\0" + raw_profile(b"http://ns.adobe.com/xap/1.0/\0" + XMP, "app1")
    ),
    "raw XMP": chunk(b"tEXt", b"Raw profile type xmp\0" + raw_profile(XMP, "xmp")),
    "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    "packed XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
}


@pytest.mark.parametrize("behind", [False, True], ids=["before the pixels", "behind the pixels"])
@pytest.mark.parametrize("kind", CHUNKS)
def test_the_orientation_of_a_png(tmp_path: Path, kind: str, behind: bool) -> None:
    data = save(tmp_path / "plain.png", image(80, 48)).read_bytes()
    place = data.index(b"IEND" if behind else b"IDAT") - 4
    path = tmp_path / "turned.png"
    path.write_bytes(data[:place] + CHUNKS[kind] + data[place:])
    header = read_header(path)
    assert (header.width, header.height) == (48, 80)
    upright = image(80, 48).transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(np.asarray(open_picture(path)[0]), np.asarray(upright))
    path.with_suffix(".jpg").write_bytes(_thumbnail(path, 64))
    with Image.open(path.with_suffix(".jpg")) as shown:
        assert shown.width < shown.height


def test_exif_takes_precedence_over_xmp_and_nonsense_is_ignored(tmp_path: Path) -> None:
    data = save(tmp_path / "a.png", image(80, 48)).read_bytes()
    place = data.index(b"IEND") - 4
    upright = Image.Exif()
    upright[0x0112] = 1
    straight = chunk(b"eXIf", upright.tobytes().removeprefix(b"Exif\0\0"))
    for more in (straight + CHUNKS["XMP"], chunk(b"eXIf", b"nonsense"), chunk(b"zTXt", b"Raw profile type exif\0\0x")):
        (tmp_path / "a.png").write_bytes(data[:place] + more + data[place:])
        assert read_header(tmp_path / "a.png").width == 80
        assert open_picture(tmp_path / "a.png")[0].size == (80, 48)


def png(depth: int, kind: int, row: bytes, transparent: bytes, width: int = 64, height: int = 32) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * height)
    parts = ((b"IHDR", header), (b"tRNS", transparent), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ("depth", "kind", "row", "transparent"),
    [
        (1, 0, b"\xff" * 4 + b"\0" * 4, struct.pack(">H", 1)),
        (2, 0, b"\xff" * 8 + b"\0" * 8, struct.pack(">H", 3)),
        (4, 0, b"\xaa" * 16 + b"\0" * 16, struct.pack(">H", 10)),
        (8, 0, b"\xaa" * 32 + b"\0" * 32, struct.pack(">H", 0xAA)),
        (16, 0, b"\xaa\xbb" * 32 + b"\0\0" * 32, struct.pack(">H", 0xAABB)),
        (8, 2, b"\xaa\xbb\xcc" * 32 + b"\0\0\0" * 32, struct.pack(">HHH", 0xAA, 0xBB, 0xCC)),
        (16, 2, b"\xaa\x01\xbb\x02\xcc\x03" * 32 + b"\0" * 6 * 32, struct.pack(">HHH", 0xAA01, 0xBB02, 0xCC03)),
    ],
)
def test_the_transparent_colour_at_any_depth(
    tmp_path: Path, depth: int, kind: int, row: bytes, transparent: bytes
) -> None:
    """The left half is transparent, the right half is black."""
    (tmp_path / "a.png").write_bytes(png(depth, kind, row, transparent))
    assert pictures.read_header(tmp_path / "a.png").has_alpha
    rgb, alpha = open_picture(tmp_path / "a.png", "red")
    assert rgb.getpixel((5, 5)) == (255, 0, 0) and rgb.getpixel((60, 5)) == (0, 0, 0)
    assert alpha.getpixel((5, 5)) == 0 and alpha.getpixel((60, 5)) == 255
