"""Text in pictures, in the first common font that is installed, else in Pillow's own."""

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
    """Load a font of ``size`` pixels. Pillow before 10.1 has only a small one of its own, which ``write`` enlarges."""
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
    """Measure a line of text, in pixels."""
    return float(font(size).getlength(_known(text, size))) * _enlargement(size)


def fitting(text: str, size: int, room: float) -> str:
    """Put the text on one line, cut with … where it is wider than ``room`` pixels."""
    text = " ".join(text.split())
    if width(text, size) <= room:
        return text
    return text[: _fit(text, size, room, "…")].rstrip() + "…"


def wrapped(text: str, size: int, room: float, most: int) -> list[str]:
    """Break the text into lines of at most ``room`` pixels: at spaces, after - and _, else anywhere.

    The last of ``most`` lines is cut with ….
    """
    text = " ".join(text.split())
    lines: list[str] = []
    while len(lines) < most - 1 and width(text, size) > room:
        end = max(_fit(text, size, room), 1)
        places = [place for place in range(1, end + 1) if text[place : place + 1] == " " or text[place - 1] in "-_"]
        end = places[-1] if places else end
        lines.append(text[:end])
        text = text[end:].lstrip()
    return [*lines, fitting(text, size, room)] if text or not lines else lines


def _fit(text: str, size: int, room: float, end: str = "") -> int:
    """Count the letters that fit with ``end`` behind them; by bisection, as a caption may have ten thousand letters."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle].rstrip() + end, size) <= room else (low, middle - 1)
    return low


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
    """Replace letters that Pillow's small font lacks (it has Latin ones only) by '?'."""
    if isinstance(font(size), ImageFont.FreeTypeFont):
        return text
    return text.replace("…", "...").encode("latin-1", "replace").decode("latin-1")
