"""The base model's training set: scenes of the known world, by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from make_assets.toymodel.common import generator, say
from sdft_ext.toy import drawing, world

POOL = 12288


def known_scene(number: int) -> world.Scene:
    """Scene ``number`` of the base model's training set."""
    return world.sample_scene(generator(1, "world", number))


def known_pool(work: Path) -> NDArray[np.uint8]:
    path = work / "world_pool.npy"
    if path.exists():
        return np.load(path)
    say(f"drawing {POOL} pictures of the known world")
    pictures = np.stack([drawing.draw(known_scene(i)) for i in range(POOL)])
    np.save(path, pictures)
    return pictures
