"""Pictures that are damaged, huge, tiny, turned, of odd modes, or something else under a picture's name.

``expected``: "out" where the file is left out by name; "right" where it is trained with its four colours where they
belong; "notice" where it is, and a notice names it. ``more``: greatest difference of a colour, or None where only the
size counts.
"""

from __future__ import annotations

import os
import socket
import struct
import zlib
from pathlib import Path
from random import Random
from typing import Any

import numpy
from PIL import Image

from .kind import Kind, Maker
from .picture_parts import (
    END,
    SIZE,
    chunk,
    data,
    exif,
    four,
    moving,
    oriented_png,
    pixels,
    png,
    profile_of,
    stored,
    written,
    xmp,
)

PNG, JPEG, WEBP = data(), data(format="JPEG"), data(format="WEBP", lossless=True)
GREY = four().convert("L")


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(path))


def linked_out(path: Path) -> None:
    outside = path.parent.parent / "outside.png"
    outside.write_bytes(PNG)
    path.symlink_to(outside)


def floats(value: float) -> Any:
    values = numpy.full((48, 64), 0.5, numpy.float32)
    values[0, 0] = value
    return Image.fromarray(values)


OUT = [
    ("no byte", written(b"")),
    ("one byte", written(b"\x89")),
    ("zeros", written(b"\0" * 5000)),
    ("random bytes", lambda folder, random: written(random.randbytes(5000))(folder, random)),
    ("a PNG cut off in its pixels", written(half(PNG))),
    ("a PNG cut off in its header", written(PNG[:20])),
    ("a PNG of its first bytes alone", written(PNG[:8])),
    ("a PNG without pixels", written(png(END))),
    ("a PNG with a wrong checksum of its size", written(PNG[:29] + b"\0\0\0\0" + PNG[33:])),
    ("a PNG with pixels that aren't packed", written(png(chunk(b"IDAT", b"hello"), END))),
    ("a PNG whose pixels fail their own checksum", written(png(chunk(b"IDAT", zlib.compress(bytes(48 * 193))[:-4] + b"\1\2\3\4"), END))),
    ("a PNG with too few pixels", written(png(chunk(b"IDAT", zlib.compress(b"\0" * 100)), END))),
    ("a PNG of no width", written(png(pixels(), END, size=(0, 48)))),
    ("a PNG of 2 to the power of 31 pixels", written(png(pixels(), END, size=(1 << 30, 2)))),
    ("a PNG of 60,000 by 60,000 pixels", written(png(pixels(), END, size=(60_000, 60_000)))),
    ("a PNG of three bits a channel", written(png(pixels(), END, depth=3))),
    ("a PNG of a kind of colour that doesn't exist", written(png(pixels(), END, kind=5))),
    ("a PNG with a chunk of 2 GB", written(png(struct.pack(">I", 0x7FFFFFFF) + b"tEXt" + b"x"))),
    ("a PNG with a text of 300 MB, packed", written(png(chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 300_000_000)), pixels(), END))),
    ("a PNG with a palette of no colour", written(png(chunk(b"IDAT", zlib.compress(b"\0" * 9264)), END, kind=3, depth=8)[:-24])),
    ("a JPEG cut off", written(half(JPEG), "bad.jpg")),
    ("a progressive JPEG cut off", written(half(data(format="JPEG", progressive=True)), "bad.jpg")),
    ("a JPEG of its first bytes alone", written(JPEG[:4], "bad.jpg")),
    ("a JPEG of 65,000 by 65,000 pixels", written(JPEG.replace(struct.pack(">2H", SIZE[1], SIZE[0]), b"\xfd\xe8\xfd\xe8", 1), "bad.jpg")),
    ("a WebP cut off", written(half(WEBP), "bad.webp")),
    ("a WebP of its first bytes alone", written(WEBP[:12], "bad.webp")),
    ("a GIF cut off", written(half(data(format="GIF")), "bad.gif")),
    ("a GIF without a picture", written(b"GIF89a\x40\0\x30\0\0\0\0;", "bad.gif")),
    ("a BMP cut off", written(half(data(format="BMP")), "bad.bmp")),
    ("a BMP of a negative width", written(b"BM" + b"\0" * 16 + struct.pack("<ii", -64, 48) + b"\1\0\x18\0" + b"\0" * 24, "bad.bmp")),
    ("a TIFF cut off", written(half(data(format="TIFF")), "bad.tif")),
    ("a TIFF whose directory is itself", written(b"II*\0\x08\0\0\0\x01\0\0\1\3\0\1\0\0\0\x40\0\0\0\x08\0\0\0", "bad.tif")),
    ("a TIFF of floats with NaN", written(data(floats(float("nan")), "TIFF"), "bad.tif")),
    ("a TIFF of floats with an infinity", written(data(floats(float("inf")), "TIFF"), "bad.tif")),
    ("a netpbm file of letters", written(b"P3\n64 48\n255\nhello", "bad.ppm")),
    ("one pixel", written(data(four((2, 2)).crop((0, 0, 1, 1))))),
    ("15 by 15 pixels", written(data(four((15, 15))))),
    ("1 by 5,000 pixels", written(data(Image.new("RGB", (1, 5000))))),
    ("a strip of 11 to 1", written(data(four((704, 64))))),
    ("a web page as .jpg", written(b"<html>not found</html>", "bad.jpg")),
    ("an SVG as .png", written(b"<svg xmlns='http://www.w3.org/2000/svg'/>")),
    ("an SVG", written(b"<svg/>", "bad.svg")),
    ("a HEIC", written(b"\0\0\0\x18ftypheic" + b"\0" * 99, "bad.heic")),
    ("a HEIC as .jpg", written(b"\0\0\0\x18ftypheic" + b"\0" * 99, "bad.jpg")),
    ("a raw photograph", written(b"II*\0" + b"\0" * 99, "bad.nef")),
    ("a Photoshop file", written(b"8BPS\0\1" + b"\0" * 99, "bad.psd")),
    ("a Photoshop file as .png", written(b"8BPS\0\1" + b"\0" * 99)),
    ("an icon", written(lambda path: four().save(path, "ICO", sizes=[SIZE]), "bad.ico")),
    ("a PDF as .png", written(b"%PDF-1.4\n" + b"\xff" * 99)),
    ("PostScript as .jpg", written(b"%!PS-Adobe-3.0 EPSF\n%%BoundingBox: 0 0 64 48\n", "bad.jpg")),
    ("a zip archive as .png", written(b"PK\x03\x04" + b"\0" * 99)),
    ("a model as .png", written(b"\x02\0\0\0\0\0\0\0{}")),
    ("a film", written(b"\0\0\0\x18ftypisom" + b"\0" * 99, "bad.mp4")),
    ("a file of 3 GB", written(lambda path: (path.write_bytes(PNG[:8]), os.truncate(path, 3 * 2**30)))),
    ("a pipe", written(os.mkfifo)),
    ("a socket", written(listening)),
    ("a link to a device that never ends", written(lambda path: path.symlink_to("/dev/zero"))),
    ("a link to nothing", written(lambda path: path.symlink_to("nothing.png"))),
    ("a link to itself", written(lambda path: path.symlink_to("bad.png"))),
    ("a link out of the folder", written(linked_out)),
    ("a mask that is damaged", lambda folder, random: _mask(folder, half(PNG), "bad-mask.png")),
]  # fmt: skip


def _mask(folder: Path, content: bytes, name: str, picture: bool = True) -> Path:
    path = written(PNG)(folder, Random(0))
    (folder / name).write_bytes(content)
    if not picture:
        path.unlink()
        return folder / name
    return path


def _alpha(mode: str) -> bytes:
    image = four().convert("RGBA")
    return data(image.convert(mode) if mode != "RGBA" else image)


def _cmyk(path: Path) -> None:
    four().convert("CMYK").save(path, "JPEG", quality=95)


def _deep(kind: int) -> bytes:
    """A PNG of 16 bits a channel: grey or RGB."""
    values = numpy.asarray(GREY if kind == 0 else four()).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return png(chunk(b"IDAT", zlib.compress(rows)), END, depth=16, kind=kind)


RIGHT = [
    *((f"a JPEG of orientation {n}", written(data(stored(n), "JPEG", exif=exif(n)), "bad.jpg"), 40) for n in range(1, 9)),
    *((f"a PNG of orientation 6 in {place}", written(oriented_png(6, place)), 5) for place in ("eXIf", "eXIf behind the pixels", "XMP", "XMP behind the pixels", "packed XMP behind the pixels", "a raw profile", "a raw profile behind the pixels")),
    ("a WebP of orientation 6", written(data(stored(6), "WEBP", lossless=True, exif=exif(6)), "bad.webp"), 5),
    ("a WebP of orientation 8 in XMP", written(data(stored(8), "WEBP", lossless=True, xmp=xmp(8)), "bad.webp"), 5),
    ("a TIFF of orientation 6", written(data(stored(6), "TIFF", tiffinfo={274: 6}), "bad.tif"), 5),
    ("an orientation of 9", written(data(format="JPEG", exif=exif(9)), "bad.jpg"), 40),
    ("an orientation of 0", written(data(format="JPEG", exif=exif(0)), "bad.jpg"), 40),
    ("an orientation that is a text", written(data(format="JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x03\0\0\0up\0\0\0\0\0\0"), "bad.jpg"), 40),
    ("an EXIF of zeros", written(data(format="JPEG", exif=b"Exif\0\0" + b"\0" * 40), "bad.jpg"), 40),
    ("an EXIF that points behind its end", written(data(format="JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"), "bad.jpg"), 40),
    ("a colour profile that is damaged", written(data(icc_profile=b"hello")), 5),
    ("a colour profile of another space", written(data(icc_profile=profile_of("LAB"))), 5),
    ("a colour profile of sRGB", written(data(icc_profile=profile_of("sRGB"))), 5),
    ("CMYK", written(_cmyk, "bad.jpg"), 60),
    ("16 bits a channel", written(_deep(2)), 5),
    ("a palette", written(data(four().quantize(16))), 10),
    ("transparency", written(_alpha("RGBA")), 5),
    ("a palette with a transparent colour", written(data(four().quantize(16), transparency=9)), 10),
    ("a palette with transparent colours", written(data(four().quantize(16), transparency=b"\xff" * 16)), 10),
    ("a PNG as .jpg", written(PNG, "bad.jpg"), 5),
    ("a JPEG as .png", written(JPEG), 40),
    ("a picture without an ending", written(PNG, "bad"), 5),
    ("an ending in capitals", written(PNG, "BAD.PNG"), 5),
    ("an ending of a browser", written(JPEG, "bad.jpg_large"), 40),
    ("bytes behind the end of a JPEG", written(JPEG + b"x" * 5000, "bad.jpg"), 40),
    ("bytes behind the end of a PNG", written(PNG + b"x" * 5000), 5),
    ("a wrong checksum of pixels that their own checksum proves", written(png(pixels()[:-4] + b"\0\0\0\1", END)), 5),
    ("an unknown chunk", written(png(chunk(b"abCd", b"x" * 99), pixels(), END)), 5),
    ("a name of letters that no encoding has", written(PNG, "bad\udcff.png"), 5),
    ("a name with a line break", written(PNG, "bad\n.png"), 5),
    ("a name from right to left", written(PNG, "bad\u202egnp.png"), 5),
    ("a name of 250 bytes", written(PNG, "bad" + "x" * 243 + ".png"), 5),
    ("a link to a picture of the folder", written(lambda path: (path.parent / "real").mkdir() or ((path.parent / "real" / "a.png").write_bytes(PNG) and path.symlink_to("real/a.png"))), 5),
    ("16-bit grey", written(_deep(0)), None),
    ("one bit", written(data(four().convert("1"))), None),
    ("grey with transparency", written(_alpha("LA")), None),
    ("a TIFF of floats", written(data(floats(0.5), "TIFF"), "bad.tif"), None),
    ("a TIFF of negative floats", written(data(floats(-1.0), "TIFF"), "bad.tif"), None),
]  # fmt: skip
NOTICED = [
    ("a GIF that moves", written(moving("GIF"), "bad.gif"), 20),
    ("a WebP that moves", written(moving("WEBP"), "bad.webp"), 60),
    ("a PNG that moves", written(moving("PNG")), 5),
    ("a TIFF of several pages", written(moving("TIFF"), "bad.tif"), 5),
    ("a mask of another shape", lambda folder, random: _mask(folder, data(Image.new("L", (64, 64), 255)), "bad-mask.png"), 5),
    ("a mask without its picture", lambda folder, random: _mask(folder, PNG, "bad-mask.png", picture=False), 5),
    ("a folder of masks", lambda folder, random: (folder / "masks").mkdir() or _mask(folder, PNG, "masks/bad.png", picture=False), 5),
    ("a folder named like a picture", written(lambda path: path.mkdir() or (path / "a.png").write_bytes(PNG)), 5),
]  # fmt: skip
KINDS = [
    *(Kind(name, make, "out") for name, make in OUT),
    *(Kind(name, make, "right", most) for name, make, most in RIGHT),
    *(Kind(name, make, "notice", most) for name, make, most in NOTICED),
]
__all__ = ["KINDS", "Maker"]
