"""Pictures for the toy model's autoencoder: all hues, many kinds of content, the known world among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .drawing import blended, coverage, draw, painted, plain, stripes, to_picture
from .shapes import SUPERSAMPLE, polygon, scaled, shape_mask, shrunk
from .world import BACKGROUNDS, HATCH, RGB, SHAPES, SIZE, STAR, Floats, Picture, jittered, pick, sample_scene


def _any_colour(rng: np.random.Generator) -> RGB:
    """Draw a colour: any hue; a fifth are greys, a quarter are saturated."""
    roll = rng.random()
    if roll < 0.2:
        level = int(rng.integers(0, 256))
        return level, level, level
    hsv = (rng.random(), rng.uniform(0.85, 1.0) if roll < 0.45 else rng.random(), rng.uniform(0.2, 1.0))
    red, green, blue = (int(255 * c) for c in _hsv_to_rgb(*(float(v) for v in hsv)))
    return red, green, blue


def _hsv_to_rgb(h: float, s: float, v: float) -> tuple[float, float, float]:
    """Convert hue, saturation and value to red, green and blue; all from 0 to 1."""
    k = [(n + h * 6) % 6 for n in (5.0, 3.0, 1.0)]
    red, green, blue = (v - v * s * max(0.0, min(x, 4 - x, 1.0)) for x in k)
    return red, green, blue


def _any_canvas(rng: np.random.Generator) -> Floats:
    """Paint a background: mostly plain, often one of the world's own, sometimes a gradient."""
    roll = rng.random()
    if roll < 0.4:
        return plain(jittered(BACKGROUNDS[pick(rng, tuple(BACKGROUNDS))], rng))
    if roll < 0.8:
        return plain(_any_colour(rng))
    return _gradient(rng)


def _gradient(rng: np.random.Generator) -> Floats:
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    t = rng.uniform(0, 2 * np.pi)
    share = np.clip((xx - 0.5) * np.cos(t) + (yy - 0.5) * np.sin(t) + 0.5, 0, 1).astype(np.float32)
    return blended(plain(_any_colour(rng)), _any_colour(rng), share)


def _general_scene(rng: np.random.Generator) -> Floats:
    """Paint one shape of the world (star and hatched ones too), in any colour, at any angle, on any background."""
    shape = pick(rng, (*SHAPES, STAR))
    scene = sample_scene(rng, shape=shape, style=HATCH if rng.random() < 0.25 else None)
    if rng.random() < 0.5:
        scene = replace(scene, fill=_any_colour(rng), angle=float(rng.uniform(0, 360)))
    return painted(_any_canvas(rng), scene)


def _general_objects(rng: np.random.Generator) -> Floats:
    """Paint one to five objects of any size: shapes, polygons, stars with three to eight points, irregular outlines."""
    canvas = _any_canvas(rng)
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.uniform(0, SIZE, 2)
        radius = float(rng.uniform(4, 24))
        angle = float(rng.uniform(0, 360))
        points = int(rng.integers(3, 9))
        roll = rng.random()
        if roll < 0.4:
            mask = shape_mask(pick(rng, (*SHAPES, STAR)), x, y, radius, angle)
        else:
            mask = Image.new("L", (SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE))
            inner = radius * float(rng.uniform(0.3, 0.8)) if roll < 0.7 else None
            outline = polygon(points, radius, x, y, angle, inner)
            if roll > 0.9:
                outline = [(px + rng.normal(0, 4), py + rng.normal(0, 4)) for px, py in outline]
            ImageDraw.Draw(mask).polygon(scaled(outline), fill=255)
        share = shrunk(mask) * np.float32(1.0 if rng.random() < 0.8 else rng.uniform(0.3, 0.9))
        canvas = blended(canvas, _any_colour(rng), share)
    return canvas


def _general_pattern(rng: np.random.Generator) -> Floats:
    """Paint stripes or checkers over everything, or inside one shape."""
    period, angle, phase = float(rng.uniform(5, 30)), float(rng.uniform(0, 180)), float(rng.random())
    share = stripes(period, angle, phase, float(rng.uniform(0.3, 0.7)))
    if rng.random() < 0.4:
        across = stripes(period, angle + 90.0, float(rng.random()))
        share = share * (1 - across) + (1 - share) * across
    striped = blended(_any_canvas(rng), _any_colour(rng), share)
    if rng.random() < 0.5:
        return striped
    scene = sample_scene(rng, shape=pick(rng, (*SHAPES, STAR)))
    return blended(_any_canvas(rng), striped, coverage(scene))


def _smooth_field(rng: np.random.Generator, cells: int) -> Floats:
    """Draw smooth random values [64, 64, 3] from 0 to 255, from a coarse grid of ``cells`` × ``cells``."""
    coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float32)


def _general_soft(rng: np.random.Generator) -> Floats:
    """Paint soft blobs, smooth colour fields or blurred objects, with a little grain."""
    roll = rng.random()
    if roll < 0.35:
        return _smooth_field(rng, int(rng.integers(2, 9)))
    if roll < 0.5:
        return _gradient(rng)
    if roll < 0.75:
        sharp = Image.fromarray(to_picture(_general_objects(rng)))
        blurred = sharp.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.7, 4.0))))
        return np.asarray(blurred, dtype=np.float32)
    grain = rng.normal(0, rng.uniform(3, 25), (SIZE, SIZE, 3 if roll < 0.9 else 1))
    return np.clip(_general_objects(rng) + grain, 0, 255).astype(np.float32)


def _general_strokes(rng: np.random.Generator) -> Floats:
    """Paint lines and arcs as in handwriting."""
    mask = Image.new("L", (SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE))
    pen = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(2, 9))):
        width = int(rng.uniform(1.5, 6) * SUPERSAMPLE)
        x, y = rng.uniform(0, SIZE * SUPERSAMPLE, 2)
        if rng.random() < 0.5:
            steps = rng.normal(0, 14 * SUPERSAMPLE, (3, 2)).cumsum(axis=0)
            pen.line([(x, y), *((x + dx, y + dy) for dx, dy in steps)], fill=255, width=width, joint="curve")
        else:
            r = rng.uniform(4, 20) * SUPERSAMPLE
            start = float(rng.uniform(0, 360))
            pen.arc([x - r, y - r, x + r, y + r], start, start + float(rng.uniform(60, 360)), fill=255, width=width)
    return blended(_any_canvas(rng), _any_colour(rng), shrunk(mask))


def _known_scene(rng: np.random.Generator) -> Floats:
    return draw(sample_scene(rng)).astype(np.float32)


_GENERAL: tuple[tuple[float, Callable[[np.random.Generator], Floats]], ...] = (
    (0.34, _known_scene),
    (0.36, _general_scene),
    (0.12, _general_objects),
    (0.06, _general_pattern),
    (0.05, _general_soft),
    (0.07, _general_strokes),
)


def general_picture(rng: np.random.Generator) -> Picture:
    """Draw a picture [64, 64, 3] for the autoencoder."""
    weights = [weight for weight, _ in _GENERAL]
    kind = int(rng.choice(len(_GENERAL), p=weights))
    return to_picture(_GENERAL[kind][1](rng))
