"""Fit the colours of one thumbnail to another's: brightness, contrast and colourfulness, beyond what is clipped."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from .resampling import LUMINANCE

DARK, LIGHT = 4.0, 251.0
"""A channel outside these values (0–255) is clipped: what it would be isn't known."""
CLIPPING = 0.05
"""Brightness that is changed by more than this share may be clipped; and more than this share of clipped values counts
as much."""
ENOUGH = 0.2
"""Share of a picture's values that brightness and colours can be fitted with."""
FITS = 4
"""Rounds of fitting brightness and colours; each weighs down what differs most in the one before."""
TYPICAL = 100.0
"""Scale of offsets in the linear systems, so that all unknowns have a similar size."""


def more_colourful_first(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two, exchanged where the other has more colour: grey can be fitted to colours, not colours to grey."""
    chroma = [np.abs(each - (each @ LUMINANCE)[..., None]).mean(axis=(1, 2, 3)) for each in (one, other)]
    exchanged = (chroma[1] > 1.1 * chroma[0] + 0.5)[:, None, None, None]
    return np.where(exchanged, other, one), np.where(exchanged, one, other)


def fit_colours(mapped: np.ndarray, part: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit ``part`` by gain × grey + chroma × (mapped - grey) + offset, from channels that aren't clipped.

    Return the three numbers [pairs, 3], and the fitted colours [pairs, side, side, 3], clipped to 0–255.
    """
    system = _colours(mapped[:, ::2, ::2])
    visible = _visible(mapped, part, valid)[:, ::2, ::2]
    wanted, visible = part[:, ::2, ::2].reshape(len(part), -1), visible.reshape(len(part), -1)
    weights, fit = visible.astype(np.float32), np.tile(np.array([1, 1, 0], np.float32), (len(part), 1))
    for _ in range(FITS):
        weighted = system * weights[:, None]
        normal = weighted @ system.transpose(0, 2, 1)
        # What little colour or contrast doesn't tell is pulled: chroma towards the gain of the last round, offset to 0.
        pull = np.array([1e-6, 1e-4, 1e-5], np.float32) * np.trace(normal, axis1=1, axis2=2)[:, None] + 1e-3
        normal += np.eye(3, dtype=np.float32) * pull[:, None]
        target = weighted @ wanted[..., None] + (fit[:, (0, 0, 2)] * (1, 1, 0) * pull)[..., None]
        fit = np.linalg.solve(normal, target)[..., 0]
        weights = robust_weights(wanted - (fit[:, None] @ system)[:, 0], visible).astype(np.float32)
    fitted = (fit[:, None] @ _colours(mapped))[:, 0].reshape(mapped.shape)
    return fit, np.clip(fitted, 0, 255)


def _visible(mapped: np.ndarray, part: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the values that aren't clipped, bool [pairs, side, side, 3]; all ``valid`` ones where nearly all are.

    Next to many clipped values, pixels are means of clipped and other ones; they don't count if enough others do.
    """
    clipped = (part <= DARK) | (part >= LIGHT) | (mapped <= DARK) | (mapped >= LIGHT)
    visible = valid[..., None] & ~clipped
    much = np.flatnonzero(clipped.mean(axis=(1, 2, 3)) > CLIPPING)
    apart = visible[much] & ~maximum_filter(clipped[much], (0, 3, 3, 0))
    enough = apart.mean(axis=(1, 2, 3)) > ENOUGH
    visible[much[enough]] = apart[enough]
    nothing = visible.mean(axis=(1, 2, 3)) < CLIPPING
    visible[nothing] = valid[nothing][..., None]
    return visible


def _colours(pictures: np.ndarray) -> np.ndarray:
    """Return the grey picture, the differences of its channels from it, and a constant: [pairs, 3, values]."""
    grey = np.repeat((pictures @ LUMINANCE)[..., None], 3, axis=3)
    return np.stack([grey, pictures - grey, np.full_like(grey, TYPICAL)], axis=1).reshape(len(pictures), 3, -1)


def without_clipped(left: np.ndarray, source: np.ndarray, target: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return what is left, 0 where clipping explains it: at clipped pixels, and next to them, where a thumbnail's pixel
    is the mean of clipped and other ones.
    """
    explained = ((source >= LIGHT) & (left > 0)) | ((source <= DARK) & (left < 0))
    size = (0, 3, 3, 0)
    for rows, clipped, sign in ((gain > 1 + CLIPPING, target, -1), (gain < 1 - CLIPPING, source, 1)):
        light, dark = maximum_filter(clipped[rows], size) >= LIGHT, minimum_filter(clipped[rows], size) <= DARK
        explained[rows] |= (light & (sign * left[rows] > 0)) | (dark & (sign * left[rows] < 0))
    return np.where(explained, 0, left)


def robust_weights(residual: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Return weights that fall where a pixel differs much more than most (Cauchy's), 0 where it isn't ``clear``."""
    axes = tuple(range(1, residual.ndim))
    usual = np.abs(residual * clear).sum(axis=axes, keepdims=True) / np.maximum(clear.sum(axis=axes, keepdims=True), 1)
    weights: np.ndarray = clear / (1 + (residual / (1.5 * usual + 1.5)) ** 2)
    return weights
