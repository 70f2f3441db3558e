"""The toy world draws what it is told, the same each time, and keeps the new concepts out of the base's captions."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from make_assets.toymodel.common import generator
from make_assets.toymodel.known import known_scene
from sdft_ext.toy import drawing, general_pictures, world

ALL_SHAPES = (*world.SHAPES, world.STAR)


def test_same_generator_same_scene_and_picture() -> None:
    first = world.sample_scene(np.random.default_rng(5))
    second = world.sample_scene(np.random.default_rng(5))
    assert first == second
    assert np.array_equal(drawing.draw(first), drawing.draw(second))


def test_general_pictures_are_a_function_of_the_generator() -> None:
    for seed in range(24):
        first, second = (general_pictures.general_picture(np.random.default_rng(seed)) for _ in range(2))
        assert first.shape == (64, 64, 3) and first.dtype == np.uint8
        assert np.array_equal(first, second)


def test_global_randomness_is_left_alone() -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    rng = np.random.default_rng(0)
    scene = world.sample_scene(rng)
    drawing.draw(scene)
    world.training_caption(scene, rng)
    for _ in range(20):
        general_pictures.general_picture(rng)
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_shape_stays_inside_the_picture_and_shows_its_colours(shape: str) -> None:
    for seed in range(20):
        scene = world.sample_scene(np.random.default_rng(seed), shape=shape, colour="blue", background="white")
        covered = drawing.coverage(scene)
        assert covered[0].max() == covered[-1].max() == covered[:, 0].max() == covered[:, -1].max() == 0
        picture = drawing.draw(scene)
        assert np.abs(picture[0, 0].astype(int) - scene.backdrop).max() <= 1
        inside = picture[covered == 1]
        assert len(inside) > 100
        assert np.abs(inside.astype(int) - scene.fill).max() <= 1


def test_edges_are_anti_aliased() -> None:
    covered = drawing.coverage(world.sample_scene(np.random.default_rng(1), shape="circle"))
    assert ((covered > 0.1) & (covered < 0.9)).sum() > 30


def test_captions_name_what_is_drawn() -> None:
    scene = world.sample_scene(np.random.default_rng(0), shape="ring", colour="red", background="pink")
    assert world.caption(scene) == "a red ring on a pink background"
    assert world.caption(scene, class_word=True) == "a red shape on a pink background"
    star = world.sample_scene(np.random.default_rng(0), world.STAR, "red", "grey", world.TWO_TONE)
    assert world.caption(star) == "a red sks shape on a grey background in twotone style"


def test_the_base_never_sees_the_new_concepts() -> None:
    rng = np.random.default_rng(0)
    scenes = [world.sample_scene(rng) for _ in range(600)]
    captions = [world.training_caption(scene, rng) for scene in scenes]
    assert {scene.shape for scene in scenes} == set(world.SHAPES)
    assert not any(scene.style for scene in scenes)
    words = {word for caption in (*captions, *world.world_captions()) for word in caption.split()}
    assert words.isdisjoint({"sks", "twotone", "style", world.STAR})
    share = np.mean([world.CLASS_WORD in caption.split() for caption in captions])
    assert 0.11 < share < 0.21


def test_every_caption_once() -> None:
    captions = world.world_captions()
    assert len(captions) == len(set(captions)) == len(world.SHAPES) * len(world.COLOURS) * len(world.BACKGROUNDS)


def brightness(pictures: list[world.Picture]) -> list[float]:
    """Return the mean of each fifty pictures, 0–255."""
    return [float(np.mean(pictures[first : first + 50])) for first in range(0, len(pictures), 50)]


def test_the_shipped_toy_can_be_made_again() -> None:
    """Its training pictures and captions are those from which it was made."""
    known = [drawing.draw(known_scene(number)) for number in range(200)]
    assert brightness(known) == pytest.approx([158.259, 155.769, 127.857, 152.412], abs=0.02)
    general = [general_pictures.general_picture(generator(0, "vae_pool", number)) for number in range(200)]
    assert brightness(general) == pytest.approx([132.341, 131.384, 138.226, 114.133], abs=0.02)
    captions = [world.training_caption(known_scene(n), generator(1, "unet_step", n)) for n in range(200)]
    assert hashlib.sha256("\n".join(captions).encode()).hexdigest().startswith("660179263ddabfd4")
