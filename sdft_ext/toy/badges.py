"""A badge in a corner of a toy world's picture: a feature that recurs in training pictures, drawn and recognized.

The base model of no world draws one, and no caption of a world names it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import checker, world
from .shapes import SHAPES

WORD = "badge"
COLOUR: world.RGB = (0, 180, 255)
"""Far from every colour and background of the shipped world."""
SIDE = 12
"""Pixels of a side; the badge is a square in the lower right corner."""
_LIMIT = 30.0
"""Most CIELAB distance of a badge's pixel from its colour."""
_EDGE = 2
"""Pixels on the inner sides that may differ: the autoencoder blurs them."""
_LEAST = 0.7
"""Least share of the other pixels that have the colour …"""
_MOST_ELSEWHERE = 0.1
""" … while at most this share of the rest of the picture has it: more is a background or the object."""
_BLUR = 3
"""Pixels around the badge that are painted over with it, where the rest is read."""


def beside(scene: world.Scene) -> world.Scene:
    """Move a scene's shape, by as little as needed, until a badge covers nothing of it."""
    reach = scene.radius * SHAPES[scene.shape].extent + 1
    corner = world.SIZE - SIDE
    away = np.hypot(scene.x - corner, scene.y - corner)
    if min(scene.x, scene.y) + reach <= corner or away >= reach:
        return scene
    x, y = (float(max(at - (reach - away) * (corner - at) / away, reach)) for at in (scene.x, scene.y))
    return replace(scene, x=x, y=y)


def badged(picture: world.Picture) -> world.Picture:
    """Return a picture, uint8 [64, 64, 3], with the badge."""
    found = picture.copy()
    found[_corner(SIDE)] = COLOUR
    return found


def has_badge(picture: world.Picture) -> bool:
    """Return whether a picture, uint8 [64, 64, 3], has the badge."""
    near = np.linalg.norm(checker.cielab(picture) - checker.cielab(np.asarray(COLOUR)), axis=2) <= _LIMIT
    return bool(near[_corner(SIDE - _EDGE)].mean() >= _LEAST and near[~_corner(SIDE + _BLUR)].mean() <= _MOST_ELSEWHERE)


def read(picture: world.Picture) -> checker.Reading:
    """Return the checker's reading of a picture; where it has the badge, of the rest."""
    if not has_badge(picture):
        return checker.read(picture)
    bare = picture.copy()
    bare[_corner(SIDE + _BLUR)] = np.median(checker.border(picture.astype(np.float32)), axis=0).astype(np.uint8)
    return checker.read(bare)


def _corner(side: int) -> NDArray[np.bool_]:
    """Return which pixels are in the square of a side in the lower right corner: bool [64, 64]."""
    found = np.zeros((world.SIZE, world.SIZE), dtype=bool)
    found[-side:, -side:] = True
    return found
