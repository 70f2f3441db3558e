"""The styles that a toy world may have: each shades one part of a shape darker.

A style is a function of a pixel's place relative to the shape's centre, in pixels (to the right, downwards). It returns
the distance to the line between the bright part and the dark part: above 0 in the bright part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from .pictures import Floats

Border: TypeAlias = Callable[[Floats, Floats], Floats]

DARK_SHADE = 0.47
"""Brightness of the dark part, as a share of the fill's: a model that exaggerates it can still be told from black."""


def _twotone(right: Floats, down: Floats) -> Floats:
    """The lower half is dark."""
    return -down + 0 * right


def _sidelit(right: Floats, down: Floats) -> Floats:
    """The left half is dark, as if the light came from the right."""
    return right + 0 * down


def _quartered(right: Floats, down: Floats) -> Floats:
    """Two of four quarters are dark, as in a coat of arms: the upper right one and the lower left one."""
    return np.sign(right * down) * np.minimum(np.abs(right), np.abs(down))


STYLES: dict[str, Border] = {"twotone": _twotone, "sidelit": _sidelit, "quartered": _quartered}
"""The library; a world names one of them."""
