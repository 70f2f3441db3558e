"""Draws scenes of a toy world, anti-aliased."""

from __future__ import annotations

import numpy as np

from .shapes import shape_mask, shrunk
from .styles import DARK_SHADE, STYLES
from .world import HATCH, RGB, SIZE, Floats, Picture, Scene

_STRIPE_PERIOD = 20.0
_STRIPE_ANGLE = 45.0
_STRIPE_SHADE = 0.4


def stripes(period: float, angle: float, phase: float = 0.0, duty: float = 0.5) -> Floats:
    """Draw anti-aliased parallel stripes as shares [64, 64]; period in pixels, phase in periods, angle in degrees."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    t = np.deg2rad(angle)
    along = (xx * np.cos(t) + yy * np.sin(t)) / period + phase
    distance = np.abs(along - np.floor(along) - 0.5) * period
    return np.clip(duty * period / 2 - distance + 0.5, 0.0, 1.0).astype(np.float32)


def blended(under: Floats, over: Floats | RGB, share: Floats) -> Floats:
    """Paint ``over`` on ``under`` [64, 64, 3] by ``share`` [64, 64]."""
    top = np.asarray(over, dtype=np.float32)
    return (under + (top - under) * share[..., None]).astype(np.float32)


def plain(rgb: RGB) -> Floats:
    """Fill a canvas [64, 64, 3] with one colour."""
    return np.broadcast_to(np.asarray(rgb, dtype=np.float32), (SIZE, SIZE, 3)).copy()


def to_picture(values: Floats) -> Picture:
    """Round a canvas to uint8."""
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def painted(canvas: Floats, scene: Scene) -> Floats:
    """Paint the scene's shape on a canvas [64, 64, 3]."""
    covered = coverage(scene)
    if scene.style is None:
        return blended(canvas, scene.fill, covered)
    shade = _STRIPE_SHADE if scene.style == HATCH else DARK_SHADE
    red, green, blue = (int(c * shade) for c in scene.fill)
    bright = _between_stripes(scene) if scene.style == HATCH else _bright_part(scene)
    return blended(canvas, blended(plain((red, green, blue)), scene.fill, bright), covered)


def _between_stripes(scene: Scene) -> Floats:
    """Return where a hatched shape has its bright fill: [64, 64], 0 to 1."""
    turn = np.deg2rad(_STRIPE_ANGLE)
    phase = 0.5 - (scene.x * np.cos(turn) + scene.y * np.sin(turn)) / _STRIPE_PERIOD
    return stripes(_STRIPE_PERIOD, _STRIPE_ANGLE, float(phase))


def _bright_part(scene: Scene) -> Floats:
    """Return where a shape in a style has its bright fill: [64, 64], 0 to 1."""
    assert scene.style is not None
    down, right = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + np.float32(0.5)
    border = STYLES[scene.style](right - np.float32(scene.x), down - np.float32(scene.y))
    return np.clip(border + np.float32(0.5), 0, 1).astype(np.float32)


def coverage(scene: Scene) -> Floats:
    """Return how much of each pixel the scene's shape covers: [64, 64], 0 to 1."""
    return shrunk(shape_mask(scene.shape, scene.x, scene.y, scene.radius, scene.angle))


def draw(scene: Scene) -> Picture:
    """Draw the scene: uint8 [64, 64, 3]."""
    return to_picture(painted(plain(scene.backdrop), scene))
