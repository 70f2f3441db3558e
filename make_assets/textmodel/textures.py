"""Draw textures that could be taken for text: rows of windows, bricks, grids, foliage, curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """Pick a colour; every third time a grey."""
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return (red, red, red) if rng.random() < 0.33 else (red, green, blue)


def noise(rng: np.random.Generator, side: int) -> Any:
    """Draw coloured noise whose spectrum falls as 1/f to 1/f²: clouds, stone, sand."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) + 1 / side
    shape = (3, side, side // 2 + 1)
    spectrum = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / frequency ** rng.uniform(0.6, 2.0)
    spectrum[1:] = spectrum[:1] * (1 - (share := rng.uniform(0, 0.5))) + spectrum[1:] * share
    values = np.fft.irfft2(spectrum, (side, side)).transpose(1, 2, 0)
    values = values / values.std() * rng.uniform(10, 60) + np.array(colour(rng))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def gradient(rng: np.random.Generator, side: int) -> Any:
    """Draw a gradient between two colours, or one colour."""
    first, last = np.array(colour(rng)), np.array(colour(rng))
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[:side, :side] / side - 0.5
    share = np.clip(x * math.cos(angle) + y * math.sin(angle) + 0.5, 0, 1)[..., None] * (rng.random() < 0.7)
    return Image.fromarray((first * (1 - share) + last * share).astype(np.uint8))


def stripes(rng: np.random.Generator, side: int) -> Any:
    """Draw parallel stripes of changing widths, sometimes crossed by others."""
    done = gradient(rng, side)
    for _ in range(int(rng.integers(1, 3))):
        layer = Image.new("L", (2 * side, 2 * side))
        pen, at, period = ImageDraw.Draw(layer), 0.0, rng.uniform(3, 40)
        while at < 2 * side:
            width = period * rng.uniform(0.2, 0.8)
            pen.rectangle((at, 0, at + width, 2 * side), fill=255)
            at += period * rng.uniform(0.9, 1.1)
        layer = layer.rotate(float(rng.uniform(0, 180)), Image.Resampling.BILINEAR)
        half = side // 2
        done.paste(colour(rng), (0, 0), layer.crop((half, half, half + side, half + side)))
    return done


def bricks(rng: np.random.Generator, side: int) -> Any:
    """Draw rows of boxes, shifted or not: bricks, windows, tiles, keys; rows may be far apart, as lines of text are."""
    done = gradient(rng, side)
    pen = ImageDraw.Draw(done)
    width, height = rng.uniform(4, 60), rng.uniform(4, 40)
    gap, between, shift = rng.uniform(1, 8), rng.uniform(1, 24), rng.random() < 0.5
    fill, alike = colour(rng), rng.random() < 0.6
    for row in range(int(side / (height + between)) + 2):
        x = -width * rng.random() - (width / 2 if shift and row % 2 else 0)
        while x < side:
            own = width * (1 if alike else rng.uniform(0.3, 1.7))
            y = row * (height + between) - height / 2
            if rng.random() < 0.95:
                pen.rectangle((x, y, x + own, y + height), fill=fill if alike else colour(rng))
            x += own + gap
    return _turned(done, rng)


def grid(rng: np.random.Generator, side: int) -> Any:
    """Draw a fence or a net: crossing lines."""
    done = gradient(rng, side)
    pen, fill, thick = ImageDraw.Draw(done), colour(rng), int(rng.integers(1, 5))
    steps = rng.uniform(5, 50, 2)
    slope = rng.uniform(-0.6, 0.6) * (rng.random() < 0.5)
    for number in range(int(side / min(steps)) * 2):
        x, y = number * steps[0] - side / 2, number * steps[1] - side / 2
        pen.line((x, 0, x + slope * side, side), fill=fill, width=thick)
        pen.line((0, y, side, y + slope * side), fill=fill, width=thick)
    return done


def figures(rng: np.random.Generator, side: int) -> Any:
    """Draw polygons, circles, rings and lines of many sizes, each hiding what is below it (dead leaves)."""
    done = gradient(rng, side)
    pen = ImageDraw.Draw(done)
    least = rng.uniform(2, 20)
    for _ in range(int(rng.integers(10, 250))):
        size = min(least / rng.random() ** 0.6, side * 0.6)
        x, y = rng.uniform(-0.1, 1.1, 2) * side
        kind, fill = int(rng.integers(5)), colour(rng)
        if kind < 2:
            stretch = rng.uniform(0.3, 1)
            box = (x - size, y - size * stretch, x + size, y + size * stretch)
            width = max(int(size * rng.uniform(0.05, 0.3)), 1)
            pen.ellipse(box, fill if kind else None, None if kind else fill, width)
        elif kind == 2:
            angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 8))))
            pen.polygon([(x + size * math.cos(a), y + size * math.sin(a)) for a in angles], fill=fill)
        elif kind == 3:
            angle = rng.uniform(0, math.pi)
            ends = (x, y, x + 3 * size * math.cos(angle), y + 3 * size * math.sin(angle))
            pen.line(ends, fill=fill, width=int(rng.integers(1, 6)))
        else:
            pen.rectangle((x, y, x + size, y + size * rng.uniform(0.2, 2)), fill=fill)
    return done


def foliage(rng: np.random.Generator, side: int) -> Any:
    """Draw hundreds of small leaves or blades in a few near colours."""
    base = np.array(colour(rng))
    done = Image.new("RGB", (side, side), tuple(int(v) for v in base // 2))
    pen, length, thick = ImageDraw.Draw(done), rng.uniform(3, 20), int(rng.integers(1, 5))
    around, spread = rng.uniform(0, math.pi), rng.uniform(0.1, 2)
    fills = np.clip(base + rng.normal(0, 40, (900, 1)), 0, 255).astype(int).tolist()
    for x, y, a, each in zip(*(rng.random((2, 900)) * side), rng.normal(around, spread, 900), fills, strict=True):
        fill = tuple(each)
        pen.line((x, y, x + length * math.cos(a), y + length * math.sin(a)), fill=fill, width=thick)
    return done


def curves(rng: np.random.Generator, side: int) -> Any:
    """Draw a few long curves, as a line drawing, hair or branches have; no letters."""
    done = gradient(rng, side)
    pen, fill, thick = ImageDraw.Draw(done), colour(rng), int(rng.integers(1, 5))
    for _ in range(int(rng.integers(2, 25))):
        bends = rng.normal(rng.normal(0, 0.08), 0.05, int(rng.integers(15, 60)))
        angles = rng.uniform(0, 2 * math.pi) + np.cumsum(bends)
        points = rng.random(2) * side + 6 * np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1), axis=0)
        pen.line([(x, y) for x, y in points.tolist()], fill=fill if rng.random() < 0.7 else colour(rng), width=thick)
    return done


def dots(rng: np.random.Generator, side: int) -> Any:
    """Draw spots, in rows or scattered: pebbles, stars, cells, buttons, crowds."""
    done = noise(rng, side) if rng.random() < 0.5 else gradient(rng, side)
    pen, size, step = ImageDraw.Draw(done), rng.uniform(1, 9), rng.uniform(6, 30)
    fill, scatter = colour(rng), rng.uniform(0, 1)
    for row in np.arange(0, side, step):
        for column in np.arange(0, side, step):
            x, y = column + rng.normal(0, scatter * step), row + rng.normal(0, scatter * step)
            own = size * rng.uniform(1 - scatter / 2, 1 + scatter / 2)
            pen.ellipse((x - own, y - own, x + own, y + own), fill=fill)
    return done


KINDS: tuple[Callable[[np.random.Generator, int], Any], ...] = (
    *(noise, gradient, stripes, bricks, bricks, grid, figures, figures, foliage, curves, dots),
)


def texture(rng: np.random.Generator, side: int) -> Any:
    """Draw one texture of a random kind, RGB, ``side`` pixels; sometimes two, blended."""
    done = KINDS[int(rng.integers(len(KINDS)))](rng, side)
    if rng.random() < 0.3:
        done = Image.blend(done, KINDS[int(rng.integers(len(KINDS)))](rng, side), float(rng.uniform(0.2, 0.8)))
    return done.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2)))) if rng.random() < 0.5 else done


def _turned(picture: Any, rng: np.random.Generator) -> Any:
    """Turn and enlarge a picture so that it still fills its square."""
    if rng.random() < 0.5:
        return picture
    side, angle = picture.width, float(rng.uniform(-30, 30))
    whole = picture.resize((side * 3 // 2, side * 3 // 2)).rotate(angle, Image.Resampling.BILINEAR)
    return whole.crop((side // 4, side // 4, side // 4 + side, side // 4 + side))
