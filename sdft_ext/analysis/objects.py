"""Locate the object in a picture: what differs from the background, if that is one compact region.

The background is modelled by the median and covariance of the colours along the edges (the boundary prior of salient
object detection). In a picture without such an object, for example a landscape, nothing is found.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from .backgrounds import ring

DIFFERS = 4.5
"""Standard deviations from the background's colours beyond which a pixel belongs to an object."""
NOISE = 9.0
"""Least standard deviation (of 255) that the background is taken to have."""
AREA = (0.015, 0.55)
"""Least and largest share of the picture that an object covers."""
MAIN = 0.7
"""Least share of all differing pixels that the largest region has."""
EDGE = 0.08
"""Largest share of the pixels along the edges that may differ."""


def centres(thumbs: np.ndarray) -> np.ndarray:
    """Return each object's centre as shares of the picture's sides (x, y), float64 [n, 2]; NaN where none is found."""
    side = thumbs.shape[1]
    edge = ring(side)
    found = np.full((len(thumbs), 2), np.nan)
    for row, thumb in enumerate(thumbs):
        pixels = thumb.astype(np.float32)
        around = pixels[edge]
        middle = np.median(around, axis=0)
        spread = np.cov((around - middle).T) + np.eye(3) * NOISE**2
        offset = pixels - middle
        distance = np.einsum("yxc,cd,yxd->yx", offset, np.linalg.inv(spread), offset)
        differs = distance > DIFFERS**2
        if differs[edge].mean() > EDGE or not AREA[0] <= differs.mean() <= AREA[1]:
            continue
        pieces, _ = label(differs)
        sizes = np.bincount(pieces.reshape(-1))[1:]
        if sizes.max() < MAIN * sizes.sum():
            continue
        y, x = np.nonzero(pieces == 1 + int(np.argmax(sizes)))
        found[row] = (x.mean() + 0.5) / side, (y.mean() + 0.5) / side
    return found
