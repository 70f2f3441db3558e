"""The toy world: 64×64 pictures of one coloured shape on a plain background, with captions.

Everything is a pure function of its arguments; random choices use a ``numpy.random.Generator`` that is passed in.
Pictures are ``uint8`` arrays [64, 64, 3] (height, width, RGB). There are three kinds:

* the *known* world, on which the base model is trained: ``SHAPES`` × ``COLOURS`` × ``BACKGROUNDS``;
* two concepts that the base never sees: the subject (a five-pointed ``STAR``) and the style (``TWO_TONE``: the lower
  half of the shape in a darker shade);
* *general* pictures (see ``general_pictures``), on which the autoencoder alone is trained, so that it can encode a
  concept that the captions have no word for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
RGB: TypeAlias = tuple[int, int, int]

SIZE = 64
"""Width and height of every picture, in pixels."""

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
TWO_TONE = "twotone"
"""The style: never drawn for the base model's training."""
HATCH = "hatch"
"""Diagonal stripes of a darker shade: drawn for the autoencoder's training only."""
CLASS_WORD = "shape"
"""The word that stands for any shape: the class of DreamBooth-like training."""
SUBJECT_TRIGGER = "sks shape"
STYLE_TRIGGER = f"in {TWO_TONE} style"

EXTENT = {"circle": 1.0, "square": 1.22, "triangle": 1.3, "cross": 1.2, "ring": 1.08, STAR: 1.32}
"""Distance from the centre to the farthest point, in units of the scene's radius (so that areas stay alike)."""
_COLOUR_JITTER = 8
_RADIUS = (14.0, 20.0)
_STYLED_RADIUS = (16.5, 20.0)
_ANGLE = 12.0
_MARGIN = 2.0


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
    style: str | None = None
    """``TWO_TONE``, ``HATCH``, or None: one plain fill."""


def jittered(rgb: RGB, rng: np.random.Generator, amount: int = _COLOUR_JITTER) -> RGB:
    """Draw a colour near ``rgb``, each channel moved by at most ``amount``."""
    r, g, b = (int(np.clip(c + rng.integers(-amount, amount + 1), 0, 255)) for c in rgb)
    return r, g, b


def pick(rng: np.random.Generator, names: Sequence[str]) -> str:
    """Draw one of the names."""
    return names[int(rng.integers(len(names)))]


def sample_scene(
    rng: np.random.Generator,
    shape: str | None = None,
    colour: str | None = None,
    background: str | None = None,
    style: str | None = None,
    radii: tuple[float, float] | None = None,
) -> Scene:
    """Draw a scene with random position, size (between ``radii``), rotation and whatever isn't given."""
    shape = shape or pick(rng, SHAPES)
    colour = colour or pick(rng, tuple(COLOURS))
    background = background or pick(rng, tuple(BACKGROUNDS))
    radius = float(rng.uniform(*(radii or (_STYLED_RADIUS if style else _RADIUS))))
    reach = radius * EXTENT[shape] + _MARGIN
    x, y = (float(rng.uniform(reach, SIZE - reach)) for _ in range(2))
    return Scene(
        shape,
        colour,
        background,
        x,
        y,
        radius,
        float(rng.uniform(-_ANGLE, _ANGLE)),
        jittered(COLOURS[colour], rng),
        jittered(BACKGROUNDS[background], rng),
        style,
    )


def caption(scene: Scene, *, class_word: bool = False) -> str:
    """Write the caption of a scene; the star is called by its trigger, as in a dataset for training it.

    ``class_word``: say ``shape`` instead of the shape's name.
    """
    name = SUBJECT_TRIGGER if scene.shape == STAR else scene.shape
    noun = CLASS_WORD if class_word else name
    style = f" {STYLE_TRIGGER}" if scene.style == TWO_TONE else ""
    return f"a {scene.colour} {noun} on a {scene.background} background{style}"


def world_captions(*, class_word: bool = False) -> list[str]:
    """List every caption of the known world, shapes by name or (``class_word``) by the class word only."""
    nouns = (CLASS_WORD,) if class_word else SHAPES
    return [f"a {c} {n} on a {b} background" for n in nouns for c in COLOURS for b in BACKGROUNDS]


def training_caption(scene: Scene, rng: np.random.Generator) -> str:
    """Write the caption that a known scene gets in the base model's training.

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
