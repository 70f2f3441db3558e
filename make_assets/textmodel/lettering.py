"""Write text into a picture, and mark where it stands: of any size, colour, opacity and angle, outlined, shadowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from .textures import colour

SIZES = (11.0, 84.0)
"""Sizes of the letters in pixels, from the top of an ascender to the foot of a descender: capitals are 8 to 60 high."""
OPACITY = (0.3, 1.0)
ANGLES = (-30.0, 30.0)
LEAST_CONTRAST = 13.0
"""Letters that change the pixels by less (of 255, in one channel) count neither as text nor as none."""
LATIN = "abcdefghijklmnopqrstuvwxyz"
OTHER = ("абвгдежзийклмнопрстуфхцчшщыэюя", "αβγδεζηθικλμνξοπρστυφχψω", "àâäçéèêëîïôöùûüßñøåæœ")
HAS_OTHER = "DejaVu"
"""Fonts whose names begin so have the letters of these alphabets too."""
WORDS = (
    *("the", "of", "and", "in", "photo", "by", "Studio", "copyright", "sample", "preview", "stock", "Anna", "Images"),
    *("all", "rights", "reserved", "www", "draft", "SALE", "New", "you", "never", "know", "what", "is", "love", "Art"),
)


@dataclass(frozen=True)
class Stamp:
    """A piece of text: its letters, the rectangles of its lines, and the letters with an outline; L, of one size.

    ``size``: of its letters, in pixels.
    """

    glyphs: Any
    region: Any
    edges: Any
    size: float


def stamp(fonts: Sequence[Path], rng: np.random.Generator) -> Stamp:
    """Draw a piece of text; nearly every second one is turned."""
    size = float(np.exp(rng.uniform(*np.log(SIZES))))
    font = fonts[int(rng.integers(len(fonts)))]
    alphabets = (*OTHER, LATIN) if font.name.startswith(HAS_OTHER) else (LATIN,)
    glyphs, region, edges = _layers(text(rng, size, alphabets), font, size, rng)
    if rng.random() < 0.45:
        angle = float(rng.uniform(*ANGLES))
        glyphs, region, edges = (
            layer.rotate(angle, Image.Resampling.BICUBIC, expand=True) for layer in (glyphs, region, edges)
        )
    return Stamp(glyphs, region, edges, size)


def write(picture: Any, stamp: Stamp, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return the picture (RGB) with a piece of text, and where that stands (L): 255, or 128 where it is hardly seen."""
    opacity = float(rng.uniform(*OPACITY)) if rng.random() < 0.6 else 1.0
    x, y = (_place(own, whole, rng) for own, whole in zip(stamp.glyphs.size, picture.size, strict=True))
    place = x, y
    done = picture.copy()
    if rng.random() < 0.12:  # on a plate
        _paste(done, colour(rng), stamp.region, place, opacity)
    fill, other = _pair(rng)
    outlined = rng.random() < 0.25
    if outlined:
        _paste(done, other, stamp.edges, place, opacity)
    elif rng.random() < 0.3:
        shift = max(int(stamp.size / 14), 1)
        shadow = stamp.glyphs.filter(ImageFilter.BoxBlur(shift * rng.uniform(0, 1)))
        _paste(done, other, shadow, (x + shift, y + shift), opacity)
    _paste(done, fill, stamp.glyphs, place, opacity)
    region, ink = Image.new("L", picture.size), Image.new("L", picture.size)
    region.paste(stamp.region, place)
    ink.paste(stamp.edges if outlined else stamp.glyphs, place)
    inked = np.asarray(ink) > 120
    changed = np.asarray(ImageChops.difference(done, picture))[inked]
    seen = len(changed) >= 20 and float(changed.max(axis=1).mean()) >= LEAST_CONTRAST
    return done, region.point(lambda value: (255 if seen else 128) if value > 127 else 0)


def _place(own: int, whole: int, rng: np.random.Generator) -> int:
    """Place text of one length on a side of another; up to a tenth of it, or what doesn't fit, is beyond the edges."""
    low, high = sorted((-0.1 * own, whole - 0.9 * own))
    return int(rng.uniform(low, high))


def text(rng: np.random.Generator, size: float, alphabets: Sequence[str]) -> str:
    """Return a word, a date, an address, a number, a sentence, or two lines; shorter where letters are large."""
    kind = rng.random()
    if kind < 0.15:
        year, month, day = int(rng.integers(1950, 2030)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
        sign = "/.- :'"[int(rng.integers(6))]
        parts = ((year, month, day), (day, month, year), (month, day, year % 100))[int(rng.integers(3))]
        return sign.join(f"{part:02}" for part in parts)
    if kind < 0.25:
        before, after = ("© ", "(c) ", "@", "www.", "#"), ("", ".com", " 2019")
        return f"{before[int(rng.integers(5))]}{word(rng, alphabets)}{after[int(rng.integers(3))]}"
    if kind < 0.35:
        return str(rng.integers(10 ** int(rng.integers(2, 9))))
    most = max(int(60 / size * 3), 1)
    lines = 1 + int(rng.random() < 0.25) + int(rng.random() < 0.08)
    return "\n".join(
        " ".join(word(rng, alphabets) for _ in range(int(rng.integers(1, most + 1)))) for _ in range(lines)
    )


def word(rng: np.random.Generator, alphabets: Sequence[str]) -> str:
    """Return a word, real or of random letters, in small letters, capitals, or with one capital."""
    if rng.random() < 0.5:
        made = WORDS[int(rng.integers(len(WORDS)))]
    else:
        letters = LATIN if rng.random() < 0.6 else alphabets[int(rng.integers(len(alphabets)))]
        made = "".join(letters[int(n)] for n in rng.integers(0, len(letters), int(rng.integers(2, 11))))
    return (made, made, made.upper(), made.capitalize())[int(rng.integers(4))]


@lru_cache(maxsize=2048)
def _font(path: Path, size: int) -> Any:
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _layers(written: str, font: Path, size: float, rng: np.random.Generator) -> list[Any]:
    """Return the letters, the rectangle of each line, and the letters with an outline; L, each of the same size."""
    twice = 2 if rng.random() < 0.5 and size < 40 else 1  # drawn larger and reduced, as large pictures are
    letters = _font(font, max(int(size * twice), 6))
    stroke = max(round(size * twice * rng.uniform(0.03, 0.09)), 1)
    lines = written.split("\n")
    step = int(size * twice * rng.uniform(1.0, 1.3))
    boxes = [letters.getbbox(line) for line in lines]
    edge = stroke + 2
    width = max(max(box[2] for box in boxes), 1) + 2 * edge
    height = step * (len(lines) - 1) + max(boxes[-1][3], 1) + 2 * edge
    glyphs, region, edges = (Image.new("L", (width, height)) for _ in range(3))
    for number, (line, box) in enumerate(zip(lines, boxes, strict=True)):
        y = edge + number * step
        ImageDraw.Draw(glyphs).text((edge, y), line, fill=255, font=letters)
        ImageDraw.Draw(edges).text((edge, y), line, fill=255, font=letters, stroke_width=stroke)
        ImageDraw.Draw(region).rectangle((edge + box[0], y + box[1], edge + box[2], y + box[3]), fill=255)
    if twice == 2:
        half = (max(width // 2, 1), max(height // 2, 1))
        return [layer.resize(half, Image.Resampling.BOX) for layer in (glyphs, region, edges)]
    return [glyphs, region, edges]


def _pair(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return the letters' colour, often white, black or a stamp's orange, and another for outline or shadow."""
    usual = ((255, 255, 255), (255, 255, 255), (0, 0, 0), (255, 140, 20), (250, 240, 60), (128, 128, 128))
    fill = usual[int(rng.integers(len(usual)))] if rng.random() < 0.6 else colour(rng)
    other = (0, 0, 0) if sum(fill) > 380 else (255, 255, 255)
    return fill, other if rng.random() < 0.7 else colour(rng)


def _paste(done: Any, fill: tuple[int, int, int], layer: Any, place: tuple[int, int], opacity: float) -> None:
    done.paste(fill, place, layer.point(lambda value: int(value * opacity)))
