"""Align thumbnails: refine position, size and angle of one in the other, and its brightness, for many pairs at once."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from .colour_fit import DARK, LIGHT, TYPICAL, robust_weights
from .resampling import warp


def maps_of(windows: np.ndarray) -> np.ndarray:
    """Return the affine maps of windows [pairs, 4], as ``warp`` takes them."""
    maps = np.zeros((len(windows), 2, 3), dtype=np.float32)
    maps[:, 0, 0], maps[:, 1, 1] = windows[:, 2], windows[:, 3]
    maps[:, :, 2] = windows[:, :2]
    return maps


def halved(grey: np.ndarray) -> np.ndarray:
    """Return grey pictures at half the side."""
    pairs, side = grey.shape[:2]
    small: np.ndarray = grey.reshape(pairs, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    return small


def first_light(whole: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the gain and the offset that match mean and contrast, float32 [pairs, 2]."""
    spread = part.std(axis=(1, 2)) / np.maximum(whole.std(axis=(1, 2)), 1.0)
    gain = np.clip(spread, 0.5, 2.0)
    light: np.ndarray = np.stack([gain, part.mean(axis=(1, 2)) - gain * whole.mean(axis=(1, 2))], axis=1)
    return light


def align(
    whole: np.ndarray, part: np.ndarray, maps: np.ndarray, light: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Refine ``maps`` [pairs, 2, 3] and ``light`` [pairs, 2] (gain, offset) until the mapped whole matches the part.

    Each step solves the weighted Gauss-Newton equations of Lucas and Kanade for a small affine map in the part's
    coordinates, which is then applied before the map found so far.
    """
    pairs, side = part.shape[:2]
    whole, part = (uniform_filter(each, size=(0, 3, 3), mode="nearest") for each in (whole, part))
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    seen = (part > DARK) & (part < LIGHT)
    for _ in range(steps):
        mapped, inside = warp(whole, maps)
        gain, offset = light[:, 0, None, None], light[:, 1, None, None]
        residual = part - mapped * gain - offset
        clear = inside & seen & (mapped > DARK) & (mapped < LIGHT)
        few = clear.mean(axis=(1, 2)) < 0.2
        clear[few] = inside[few]
        weights = robust_weights(residual, clear)
        down, right = (slope * side * gain for slope in np.gradient(mapped, axis=(1, 2)))
        columns = [right, right * place, right * place[:, None], down, down * place, down * place[:, None]]
        system = np.stack([*columns, mapped, np.full_like(mapped, TYPICAL)], axis=1).reshape(pairs, 8, -1)
        weighted = (system * weights.reshape(pairs, 1, -1)).astype(np.float32)
        normal = weighted @ system.transpose(0, 2, 1)
        scale = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        normal += np.eye(8, dtype=np.float32) * (1e-6 * scale + 1e-3)
        step = np.linalg.solve(normal, weighted @ residual.reshape(pairs, -1, 1))[..., 0]
        maps = _composed(maps, np.clip(step[:, :6], -0.05, 0.05))
        light = light + step[:, 6:] * np.array([1, TYPICAL], dtype=np.float32)
        light = np.clip(light, (0.4, -130), (2.5, 130)).astype(np.float32)
    return maps, light


def _composed(maps: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Apply a small affine map (``step`` [pairs, 6]: shift, slopes along x and y, for x and then y) before ``maps``."""
    small = np.zeros((len(maps), 3, 3), dtype=np.float32)
    small[:, :2, 2], small[:, :2, 0], small[:, :2, 1] = step[:, 0::3], step[:, 1::3], step[:, 2::3]
    result: np.ndarray = maps + maps[:, :, :2] @ small[:, :2]
    return result
