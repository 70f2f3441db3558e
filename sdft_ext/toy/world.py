"""Scenes of a toy world, and their captions: one coloured shape on a plain background.

Everything is a pure function of its arguments; random choices use a ``numpy.random.Generator`` that is passed in. A
world (see ``world_file``) has:

* the *known* scenes, on which its base model is trained: its shapes × colours × backgrounds;
* two concepts that the base never sees: a subject (another shape) and a style (a shading that any shape can have).

The autoencoder is the same for all worlds: it is trained on *general* pictures (see ``general_pictures``), so that it
can encode a concept that the captions have no word for. Where no world is given, it is the shipped one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .pictures import RGB, SIZE, Floats, Picture
from .shapes import SHAPES as LIBRARY
from .world_file import TOY, World

__all__ = ["RGB", "SIZE", "Floats", "Picture"]

SHAPES, COLOURS, BACKGROUNDS, CLASS_WORD = TOY.shapes, TOY.colours, TOY.backgrounds, TOY.class_word
"""The shipped world's."""
STAR, TWO_TONE = TOY.subject.shape, TOY.style.name
SUBJECT_TRIGGER, STYLE_TRIGGER = TOY.subject_phrase, TOY.style.trigger
HATCH = "hatch"
"""Diagonal stripes of a darker shade: drawn for the autoencoder's training only."""

_COLOUR_JITTER = 8
_RADIUS = (14.0, 20.0)
_STYLED_RADIUS = (16.5, 20.0)
_ANGLE = 12.0
_MARGIN = 2.0


@dataclass(frozen=True)
class Scene:
    """What one picture of a world shows. Lengths in pixels, the angle in degrees (clockwise on screen)."""

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
    """One of ``styles.STYLES``, ``HATCH``, or None: one plain fill."""


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
    of: World = TOY,
) -> Scene:
    """Draw a scene with random position, size (between ``radii``), rotation and whatever isn't given."""
    shape = shape or pick(rng, of.shapes)
    colour = colour or pick(rng, tuple(of.colours))
    background = background or pick(rng, tuple(of.backgrounds))
    radius = float(rng.uniform(*(radii or (_STYLED_RADIUS if style else _RADIUS))))
    reach = radius * LIBRARY[shape].extent + _MARGIN
    x, y = (float(rng.uniform(reach, SIZE - reach)) for _ in range(2))
    return Scene(
        shape,
        colour,
        background,
        x,
        y,
        radius,
        float(rng.uniform(-_ANGLE, _ANGLE)),
        jittered(of.colours[colour], rng),
        jittered(of.backgrounds[background], rng),
        style,
    )


def caption(scene: Scene, *, class_word: bool = False, of: World = TOY) -> str:
    """Write the caption of a scene; the subject is called by its trigger, as in a dataset for training it.

    ``class_word``: say the class instead of the shape's name.
    """
    name = of.subject_phrase if scene.shape == of.subject.shape else scene.shape
    whole = of.caption(of.class_word if class_word else name, scene.colour, scene.background)
    return of.in_style(whole) if scene.style == of.style.name else whole


def world_captions(*, class_word: bool = False, of: World = TOY) -> list[str]:
    """List every caption of a world's known scenes, shapes by name or (``class_word``) by the class word only."""
    nouns = (of.class_word,) if class_word else of.shapes
    return [of.caption(n, c, b) for n in nouns for c in of.colours for b in of.backgrounds]


def training_caption(scene: Scene, rng: np.random.Generator, of: World = TOY) -> str:
    """Write the caption that a known scene gets in the base model's training.

    15 % name the class instead of the shape, 6 % leave something out (so that short prompts mean something too).
    """
    roll = float(rng.random())
    known = {"shape": scene.shape, "colour": scene.colour, "background": scene.background}
    if roll < 0.15:
        return caption(scene, class_word=True, of=of)
    if roll < 0.17:
        return of.captions.without_background.format(**known)
    if roll < 0.19:
        return of.captions.without_colour.format(**known)
    if roll < 0.20:
        return of.captions.shape_only.format(**known)
    if roll < 0.21:
        return of.captions.shape_only.format(shape=of.class_word)
    return caption(scene, of=of)
