"""Where the object of a picture is: what differs from its surroundings, where that is one compact thing.

The surroundings are modelled by the mean and spread of the colours along the edges (the boundary prior of salient
object detection). A picture whose object can't be told this way, such as a landscape, says nothing.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from .backgrounds import ring

DIFFERS = 4.5
"""Standard deviations of the surroundings' colours."""
NOISE = 9.0
"""Of 255: the surroundings' spread is taken as at least this."""
AREA = (0.015, 0.55)
"""Share of the picture that an object covers."""
MAIN = 0.7
"""The largest piece must hold so much of all that differs."""
EDGE = 0.08
"""At most so much of the edge pixels may differ themselves."""


def centres(thumbs: np.ndarray) -> np.ndarray:
    """Centre of each picture's object as shares of its sides (x, y), float64 [n, 2]; NaN where it can't be told."""
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
