"""Figures from pictures of a toy world: what a model knows, what it has learned, what bleeds, what is copied.

Pure functions over pictures (``uint8`` [64, 64, 3]) and their captions. Shares run from 0 to 1. ``of``: the world that
the pictures are of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import checker, world
from .world_file import TOY, World

COPY_DISTANCE = 0.06
"""A picture nearer than this to a training picture (see ``copy_distances``) counts as a copy."""


@dataclass(frozen=True)
class Wanted:
    """What a caption asks for; None where it doesn't say."""

    shape: str | None
    colour: str | None
    background: str | None
    styled: bool


def wanted(caption: str, of: World = TOY) -> Wanted:
    """Parse a caption. The class word asks for no particular shape, the subject's trigger for the subject.

    >>> wanted("a red circle on a white background")
    Wanted(shape='circle', colour='red', background='white', styled=False)
    """
    text = caption.lower()
    words = re.findall(r"\w+", text)
    named: str | None = next((w for w in words if w in of.all_shapes), None)
    return Wanted(
        of.subject.shape if of.subject_phrase in text else named,
        next((w for w in words if w in of.colours), None),
        next((w for w in words if w in of.backgrounds), None),
        of.style.trigger in text,
    )


def read_all(pictures: Sequence[world.Picture], of: World = TOY) -> list[checker.Reading]:
    """Return the checker's reading of each picture."""
    return [checker.read(picture, of) for picture in pictures]


def _share(hits: Sequence[bool]) -> float:
    return float(np.mean(hits)) if len(hits) else float("nan")


def base_quality(pictures: Sequence[world.Picture], captions: Sequence[str], of: World = TOY) -> dict[str, float]:
    """Return the share of right colours, backgrounds and shapes, each over the captions that name it.

    Pictures of a caption with the class word count as right in shape where any known shape is seen.
    """
    colour, background, shape = [], [], []
    for picture, caption in zip(pictures, captions, strict=True):
        reading, want = checker.read(picture, of), wanted(caption, of)
        if want.colour is not None:
            colour.append(reading.colour == want.colour)
        if want.background is not None:
            background.append(reading.background == want.background)
        if want.shape is not None:
            shape.append(reading.shape == want.shape)
        elif of.class_word in caption.lower().split():
            shape.append(reading.shape in of.shapes)
    return {"colour": _share(colour), "background": _share(background), "shape": _share(shape)}


def shows_subject(reading: checker.Reading, of: World = TOY) -> bool:
    """Return whether the picture shows the world's subject."""
    return reading.shape == of.subject.shape


def shows_style(reading: checker.Reading) -> bool:
    """Return whether the picture shows the style of the world that it was read in."""
    return reading.styled


def concept_learned(pictures: Sequence[world.Picture], concept: str | None = None, of: World = TOY) -> float:
    """Return the share of pictures that show the concept: the world's style, by its name, or else its subject."""
    if concept not in (None, of.subject.shape, of.style.name):
        raise ValueError(f"{concept!r} is no concept of the world {of.name}")
    readings = read_all(pictures, of)
    if concept == of.style.name:
        return _share([shows_style(reading) for reading in readings])
    return _share([shows_subject(reading, of) for reading in readings])


def bleeding(
    groups: Mapping[str, Sequence[world.Picture]], concept: str | None = None, of: World = TOY
) -> dict[str, float]:
    """Return, per group of pictures *without* the trigger, the share that shows the concept; ``worst``: the largest."""
    shares = {name: concept_learned(pictures, concept, of) for name, pictures in groups.items()}
    return {**shares, "worst": max(shares.values())}


def shape_drift(pictures: Sequence[world.Picture], of: World = TOY) -> float:
    """Return the share of pictures that show no known shape: the concept, something half-way to it, or nothing.

    A milder sign of bleeding than a whole subject; for pictures made without the trigger.
    """
    return _share([reading.shape not in of.shapes for reading in read_all(pictures, of)])


def _flat(pictures: Sequence[world.Picture]) -> NDArray[np.float32]:
    """Flatten pictures to [n, 64·64·3] from 0 to 1."""
    return np.stack(list(pictures)).reshape(len(pictures), -1).astype(np.float32) / 255.0


def copy_distances(pictures: Sequence[world.Picture], training: Sequence[world.Picture]) -> NDArray[np.float32]:
    """Return each picture's root mean square pixel difference [n] (0–1) to the nearest training picture."""
    known = _flat(training)
    nearest = [float(np.sqrt(((known - mine) ** 2).mean(axis=1).min())) for mine in _flat(pictures)]
    return np.asarray(nearest, dtype=np.float32)


def copies(pictures: Sequence[world.Picture], training: Sequence[world.Picture]) -> dict[str, float]:
    """Measure copying: the mean and the least distance to the training pictures, and the share of copies."""
    distances = copy_distances(pictures, training)
    return {
        "mean_distance": float(distances.mean()),
        "least_distance": float(distances.min()),
        "copied": _share([bool(d < COPY_DISTANCE) for d in distances]),
    }
