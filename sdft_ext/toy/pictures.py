"""What a picture of a toy world is."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
RGB: TypeAlias = tuple[int, int, int]

SIZE = 64
"""Width and height of every picture, in pixels."""
