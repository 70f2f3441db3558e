"""The base model's training set: scenes of the known world, by number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from make_assets.toymodel.common import Place, generator, say
from sdft_ext.toy import drawing, world
from sdft_ext.toy.world_file import TOY, World


def known_scene(number: int, of: World = TOY) -> world.Scene:
    """Scene ``number`` of the base model's training set."""
    return world.sample_scene(generator(1, "world", number), of=of)


def known_pool(place: Place) -> NDArray[np.uint8]:
    path = place.work / "world_pool.npy"
    if path.exists():
        return np.load(path)
    say(f"drawing {place.pool} pictures of the known world")
    pictures = np.stack([drawing.draw(known_scene(i, place.of)) for i in range(place.pool)])
    np.save(path, pictures)
    return pictures
