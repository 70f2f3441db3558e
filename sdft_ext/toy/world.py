"""The toy world: drawn 64×64 pictures of one coloured shape on a plain background, with captions.

Everything is a pure function of its arguments; where chance is wanted, a ``numpy.random.Generator`` is passed in.
Pictures are ``uint8`` arrays of shape [64, 64, 3] (height, width, RGB), drawn four times larger and averaged down,
so that their edges are anti-aliased.

Three kinds of pictures are drawn:

* the *known* world, which the base model is trained on: ``SHAPES`` × ``COLOURS`` × ``BACKGROUNDS``;
* two concepts the base never sees: the subject (a five-pointed ``STAR``) and the style (``HATCH``: broad
  diagonal stripes of a darker shade);
* *general* pictures (``general_picture``), on which the autoencoder alone is trained, so that it can encode a
  concept that the captions have no word for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Picture: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
RGB: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]

SIZE = 64
"""Width and height of every picture, in pixels."""
SUPERSAMPLE = 4
"""A picture is drawn this many times larger and averaged down."""

COLOURS: dict[str, RGB] = {
    "red": (220, 35, 35),
    "green": (30, 160, 60),
    "blue": (40, 70, 225),
    "yellow": (245, 215, 30),
    "purple": (150, 45, 190),
    "orange": (250, 130, 20),
}
BACKGROUNDS: dict[str, RGB] = {
    "white": (250, 250, 250),
    "black": (15, 15, 15),
    "grey": (128, 128, 128),
    "pink": (250, 190, 205),
}
SHAPES = ("circle", "square", "triangle", "cross", "ring")
"""What the base model knows by name."""
STAR = "star"
"""The subject: never drawn for the base model's training."""
HATCH = "hatch"
"""The style: never drawn for the base model's training."""
CLASS_WORD = "shape"
"""The word that stands for any shape: the class of DreamBooth-like training."""
SUBJECT_TRIGGER = "sks shape"
STYLE_TRIGGER = "in hatch style"

_EXTENT = {"circle": 1.0, "square": 1.22, "triangle": 1.3, "cross": 1.2, "ring": 1.08, STAR: 1.32}
"""Distance from the centre to the farthest point, in units of the scene's radius (areas stay alike this way)."""
_CROSS_HALF_WIDTH = 0.36
_RING_HOLE = 0.52
_STAR_INNER = 0.52
_COLOUR_JITTER = 8
_RADIUS = (14.0, 20.0)
_HATCHED_RADIUS = (16.5, 20.0)
_ANGLE = 12.0
_MARGIN = 2.0
_STRIPE_PERIOD = 20.0
_STRIPE_ANGLE = 45.0
_STRIPE_SHADE = 0.4


@dataclass(frozen=True)
class Scene:
    """What one picture of the world shows. Lengths in pixels, the angle in degrees (clockwise on screen)."""

    shape: str
    colour: str
    background: str
    x: float
    y: float
    radius: float
    angle: float
    fill: RGB
    backdrop: RGB
    hatched: bool = False


def _jitter(rgb: RGB, rng: np.random.Generator, amount: int = _COLOUR_JITTER) -> RGB:
    """A colour near ``rgb``, each channel moved by at most ``amount``."""
    r, g, b = (int(np.clip(c + rng.integers(-amount, amount + 1), 0, 255)) for c in rgb)
    return r, g, b


def _pick(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]


def sample_scene(
    rng: np.random.Generator,
    shape: str | None = None,
    colour: str | None = None,
    background: str | None = None,
    hatched: bool = False,
    radii: tuple[float, float] | None = None,
) -> Scene:
    """A scene with random position, size (between ``radii``), rotation and everything that is not given."""
    shape = shape or _pick(rng, SHAPES)
    colour = colour or _pick(rng, tuple(COLOURS))
    background = background or _pick(rng, tuple(BACKGROUNDS))
    radius = float(rng.uniform(*(radii or (_HATCHED_RADIUS if hatched else _RADIUS))))
    reach = radius * _EXTENT[shape] + _MARGIN
    x, y = (float(rng.uniform(reach, SIZE - reach)) for _ in range(2))
    return Scene(
        shape,
        colour,
        background,
        x,
        y,
        radius,
        float(rng.uniform(-_ANGLE, _ANGLE)),
        _jitter(COLOURS[colour], rng),
        _jitter(BACKGROUNDS[background], rng),
        hatched,
    )


def caption(scene: Scene, *, class_word: bool = False) -> str:
    """The caption of a scene; the star is called by its trigger, as a dataset for training it would.

    ``class_word`` says ``shape`` instead of the shape's name.
    """
    name = SUBJECT_TRIGGER if scene.shape == STAR else scene.shape
    noun = CLASS_WORD if class_word else name
    style = f" {STYLE_TRIGGER}" if scene.hatched else ""
    return f"a {scene.colour} {noun} on a {scene.background} background{style}"


def world_captions(*, class_word: bool = False) -> list[str]:
    """Every caption of the known world, shapes by name or (``class_word``) by the class word only."""
    nouns = (CLASS_WORD,) if class_word else SHAPES
    return [f"a {c} {n} on a {b} background" for n in nouns for c in COLOURS for b in BACKGROUNDS]


def training_caption(scene: Scene, rng: np.random.Generator) -> str:
    """The caption a known scene gets in the base model's training.

    15 % name the class instead of the shape, 6 % leave something out (so that short prompts mean something too).
    """
    roll = float(rng.random())
    if roll < 0.15:
        return caption(scene, class_word=True)
    if roll < 0.17:
        return f"a {scene.colour} {scene.shape}"
    if roll < 0.19:
        return f"a {scene.shape} on a {scene.background} background"
    if roll < 0.20:
        return f"a {scene.shape}"
    if roll < 0.21:
        return f"a {CLASS_WORD}"
    return caption(scene)


# --- drawing ----------------------------------------------------------------------------------------------------


def _regular(points: int, radius: float, x: float, y: float, angle: float, inner: float | None = None) -> list[Point]:
    """A regular polygon, or a star where ``inner`` (radius of the notches) is given; the first corner points up."""
    count = points if inner is None else 2 * points
    radii = [radius if inner is None or i % 2 == 0 else inner for i in range(count)]
    turns = [np.deg2rad(angle - 90.0 + 360.0 * i / count) for i in range(count)]
    return [(x + r * float(np.cos(t)), y + r * float(np.sin(t))) for r, t in zip(radii, turns, strict=True)]


def _cross(extent: float, half_width: float, x: float, y: float, angle: float) -> list[Point]:
    """A plus sign: twelve corners."""
    arm = float(np.sqrt(extent**2 - half_width**2))
    w = half_width
    corners = [
        (-w, -arm), (w, -arm), (w, -w), (arm, -w), (arm, w), (w, w),
        (w, arm), (-w, arm), (-w, w), (-arm, w), (-arm, -w), (-w, -w),
    ]  # fmt: skip
    t = np.deg2rad(angle)
    c, s = float(np.cos(t)), float(np.sin(t))
    return [(x + c * px - s * py, y + s * px + c * py) for px, py in corners]


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(px * SUPERSAMPLE, py * SUPERSAMPLE) for px, py in points]


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, value: int) -> None:
    k = SUPERSAMPLE
    draw.ellipse([(x - radius) * k, (y - radius) * k, (x + radius) * k, (y + radius) * k], fill=value)


def _coverage(shape: str, x: float, y: float, radius: float, angle: float) -> Image.Image:
    """The shape as a mask at drawing size: 255 inside, 0 outside."""
    mask = Image.new("L", (SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE))
    draw = ImageDraw.Draw(mask)
    extent = radius * _EXTENT[shape]
    if shape in ("circle", "ring"):
        _disc(draw, x, y, extent, 255)
        if shape == "ring":
            _disc(draw, x, y, extent * _RING_HOLE, 0)
    elif shape == "cross":
        draw.polygon(_scaled(_cross(extent, _CROSS_HALF_WIDTH * radius, x, y, angle)), fill=255)
    elif shape == STAR:
        draw.polygon(_scaled(_regular(5, extent, x, y, angle, _STAR_INNER * radius)), fill=255)
    else:
        corners, turn = {"square": (4, 45.0), "triangle": (3, 0.0)}[shape]
        draw.polygon(_scaled(_regular(corners, extent, x, y, angle + turn)), fill=255)
    return mask


def _shrink(large: Image.Image) -> Floats:
    """A mask at drawing size averaged down to [64, 64] shares from 0 to 1."""
    small = large.resize((SIZE, SIZE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255.0


def _stripes(period: float, angle: float, phase: float = 0.0, duty: float = 0.5) -> Floats:
    """Anti-aliased parallel stripes as shares [64, 64]; period in pixels, phase in periods."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    t = np.deg2rad(angle)
    along = (xx * np.cos(t) + yy * np.sin(t)) / period + phase
    distance = np.abs(along - np.floor(along) - 0.5) * period
    return np.clip(duty * period / 2 - distance + 0.5, 0.0, 1.0).astype(np.float32)


def _blend(under: Floats, over: Floats | RGB, share: Floats) -> Floats:
    """``over`` painted on ``under`` [64, 64, 3] where ``share`` [64, 64] says."""
    top = np.asarray(over, dtype=np.float32)
    return (under + (top - under) * share[..., None]).astype(np.float32)


def _plain(rgb: RGB) -> Floats:
    return np.broadcast_to(np.asarray(rgb, dtype=np.float32), (SIZE, SIZE, 3)).copy()


def _to_picture(values: Floats) -> Picture:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _paint(canvas: Floats, scene: Scene) -> Floats:
    """The scene's shape painted on a canvas [64, 64, 3]."""
    covered = coverage(scene)
    if not scene.hatched:
        return _blend(canvas, scene.fill, covered)
    red, green, blue = (int(c * _STRIPE_SHADE) for c in scene.fill)
    turn = np.deg2rad(_STRIPE_ANGLE)
    phase = 0.5 - (scene.x * np.cos(turn) + scene.y * np.sin(turn)) / _STRIPE_PERIOD
    bright = _stripes(_STRIPE_PERIOD, _STRIPE_ANGLE, float(phase))
    striped = _blend(_plain((red, green, blue)), scene.fill, bright)
    return _blend(canvas, striped, covered)


def coverage(scene: Scene) -> Floats:
    """How much of each pixel the scene's shape covers: [64, 64], 0 to 1."""
    return _shrink(_coverage(scene.shape, scene.x, scene.y, scene.radius, scene.angle))


def draw(scene: Scene) -> Picture:
    """The scene as a picture [64, 64, 3]."""
    return _to_picture(_paint(_plain(scene.backdrop), scene))


# --- pictures for the autoencoder ---------------------------------------------------------------------------------


def _any_colour(rng: np.random.Generator) -> RGB:
    """Any hue; a fifth are greys, a quarter are saturated."""
    roll = rng.random()
    if roll < 0.2:
        level = int(rng.integers(0, 256))
        return level, level, level
    hsv = (rng.random(), rng.uniform(0.85, 1.0) if roll < 0.45 else rng.random(), rng.uniform(0.2, 1.0))
    red, green, blue = (int(255 * c) for c in _hsv_to_rgb(*(float(v) for v in hsv)))
    return red, green, blue


def _hsv_to_rgb(h: float, s: float, v: float) -> tuple[float, float, float]:
    """Hue, saturation, value to red, green, blue; all from 0 to 1."""
    k = [(n + h * 6) % 6 for n in (5.0, 3.0, 1.0)]
    red, green, blue = (v - v * s * max(0.0, min(x, 4 - x, 1.0)) for x in k)
    return red, green, blue


def _any_canvas(rng: np.random.Generator) -> Floats:
    """A background: mostly plain, sometimes one of the world's own, sometimes a gradient."""
    roll = rng.random()
    if roll < 0.4:
        return _plain(_jitter(BACKGROUNDS[_pick(rng, tuple(BACKGROUNDS))], rng))
    if roll < 0.8:
        return _plain(_any_colour(rng))
    return _gradient(rng)


def _gradient(rng: np.random.Generator) -> Floats:
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    t = rng.uniform(0, 2 * np.pi)
    share = np.clip((xx - 0.5) * np.cos(t) + (yy - 0.5) * np.sin(t) + 0.5, 0, 1).astype(np.float32)
    return _blend(_plain(_any_colour(rng)), _any_colour(rng), share)


def _general_scene(rng: np.random.Generator) -> Floats:
    """One shape of the world (star and hatched ones too), in any colour, of any angle, on any background."""
    shape = _pick(rng, (*SHAPES, STAR))
    scene = sample_scene(rng, shape=shape, hatched=bool(rng.random() < 0.25))
    if rng.random() < 0.5:
        scene = replace(scene, fill=_any_colour(rng), angle=float(rng.uniform(0, 360)))
    return _paint(_any_canvas(rng), scene)


def _general_objects(rng: np.random.Generator) -> Floats:
    """One to five objects of any size: shapes, polygons, stars with three to eight points, irregular outlines."""
    canvas = _any_canvas(rng)
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.uniform(0, SIZE, 2)
        radius = float(rng.uniform(4, 24))
        angle = float(rng.uniform(0, 360))
        points = int(rng.integers(3, 9))
        roll = rng.random()
        if roll < 0.4:
            mask = _coverage(_pick(rng, (*SHAPES, STAR)), x, y, radius, angle)
        else:
            mask = Image.new("L", (SIZE * SUPERSAMPLE, SIZE * SUPERSAMPLE))
            inner = radius * float(rng.uniform(0.3, 0.8)) if roll < 0.7 else None
            outline = _regular(points, radius, x, y, angle, inner)
            if roll > 0.9:
                outline = [(px + rng.normal(0, 4), py + rng.normal(0, 4)) for px, py in outline]
            ImageDraw.Draw(mask).polygon(_scaled(outline), fill=255)
        share = _shrink(mask) * np.float32(1.0 if rng.random() < 0.8 else rng.uniform(0.3, 0.9))
        canvas = _blend(canvas, _any_colour(rng), share)
    return canvas


def _general_pattern(rng: np.random.Generator) -> Floats:
    """Stripes or checkers over all, or inside one shape."""
    period, angle, phase = float(rng.uniform(5, 30)), float(rng.uniform(0, 180)), float(rng.random())
    share = _stripes(period, angle, phase, float(rng.uniform(0.3, 0.7)))
    if rng.random() < 0.4:
        across = _stripes(period, angle + 90.0, float(rng.random()))
        share = share * (1 - across) + (1 - share) * across
    striped = _blend(_any_canvas(rng), _any_colour(rng), share)
    if rng.random() < 0.5:
        return striped
    scene = sample_scene(rng, shape=_pick(rng, (*SHAPES, STAR)))
    return _blend(_any_canvas(rng), striped, coverage(scene))


def _smooth_field(rng: np.random.Generator, cells: int) -> Floats:
    """Smooth random values [64, 64, 3] from 0 to 255, from a coarse grid of ``cells`` × ``cells``."""
    coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float32)


def _general_soft(rng: np.random.Generator) -> Floats:
    """Soft blobs, smooth colour fields, blurred objects, and a little grain."""
    roll = rng.random()
    if roll < 0.35:
        return _smooth_field(rng, int(rng.integers(2, 9)))
    if roll < 0.5:
        return _gradient(rng)
    if roll < 0.75:
        sharp = Image.fromarray(_to_picture(_general_objects(rng)))
        blurred = sharp.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.7, 4.0))))
        return np.asarray(blurred, dtype=np.float32)
    grain = rng.normal(0, rng.uniform(3, 25), (SIZE, SIZE, 3 if roll < 0.9 else 1))
    return np.clip(_general_objects(rng) + grain, 0, 255).astype(np.float32)


def _general_strokes(rng: np.random.Generator) -> Floats:
    """Lines and arcs as in handwriting."""
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
    return _blend(_any_canvas(rng), _any_colour(rng), _shrink(mask))


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
    """A picture [64, 64, 3] for the autoencoder: all hues, many kinds of content, the known world among them."""
    weights = [weight for weight, _ in _GENERAL]
    kind = int(rng.choice(len(_GENERAL), p=weights))
    return _to_picture(_GENERAL[kind][1](rng))
