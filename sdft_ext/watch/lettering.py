"""Words in pictures: the first of some common fonts that is there, else Pillow's own."""

from __future__ import annotations

import functools
from typing import Any

from PIL import Image, ImageDraw, ImageFont

FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "arial.ttf",
    "Arial.ttf",
    "Helvetica.ttc",
)


@functools.cache
def font(size: int) -> Any:
    """A font of ``size`` pixels. Pillow before 10.1 has only a small one of its own: ``write`` enlarges it."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    try:
        return ImageFont.load_default(size)
    except TypeError:
        return ImageFont.load_default()


def width(text: str, size: int) -> float:
    """Of a written line, in pixels."""
    return float(font(size).getlength(_known(text, size))) * _enlargement(size)


def fitting(text: str, size: int, room: float) -> str:
    """The text as one line, cut with … where it is wider than ``room`` pixels."""
    text = " ".join(text.split())
    if width(text, size) <= room:
        return text
    # The longest start that fits, by halving: a caption may have ten thousand letters.
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle].rstrip() + "…", size) <= room else (low, middle - 1)
    return text[:low].rstrip() + "…"


def write(sheet: Image.Image, place: tuple[float, float], text: str, size: int, colour: str) -> None:
    """Write one line with its upper left corner at ``place``."""
    letters, known = font(size), _known(text, size)
    enlargement = _enlargement(size)
    if enlargement == 1:
        ImageDraw.Draw(sheet).text(place, known, fill=colour, font=letters)
        return
    box = letters.getbbox(known)
    stencil = Image.new("L", (max(int(box[2]), 1), max(int(box[3]), 1)), 0)
    ImageDraw.Draw(stencil).text((0, 0), known, fill=255, font=letters)
    stencil = stencil.resize((stencil.width * enlargement, stencil.height * enlargement), Image.Resampling.NEAREST)
    sheet.paste(colour, (int(place[0]), int(place[1])), stencil)


def _enlargement(size: int) -> int:
    return 1 if isinstance(font(size), ImageFont.FreeTypeFont) else max(1, round(size / 11))


def _known(text: str, size: int) -> str:
    """Pillow's small font has only Latin letters; others become '?'."""
    if isinstance(font(size), ImageFont.FreeTypeFont):
        return text
    return text.replace("…", "...").encode("latin-1", "replace").decode("latin-1")
