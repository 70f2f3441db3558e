"""The badge, a feature that recurs in training pictures: where it is, it is seen, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from sdft_ext.toy import badges, checker, drawing, world
from sdft_ext.toy.install import CHECKPOINT

SHAPES = (*world.SHAPES, world.STAR)


def scenes(count: int) -> list[world.Scene]:
    rng = np.random.default_rng(5)
    found = [world.sample_scene(rng, SHAPES[number % len(SHAPES)]) for number in range(count)]
    return [badges.beside(scene) for scene in found]


def test_its_colour_is_far_from_all_others() -> None:
    own = checker.cielab(np.asarray(badges.COLOUR))
    for colour in (*world.COLOURS.values(), *world.BACKGROUNDS.values()):
        assert np.linalg.norm(checker.cielab(np.asarray(colour)) - own) > 45, colour


def test_it_covers_nothing_of_the_shape() -> None:
    corner = np.zeros((64, 64), dtype=bool)
    corner[-badges.SIDE :, -badges.SIDE :] = True
    moved = 0
    rng = np.random.default_rng(6)
    for number in range(200):
        scene = world.sample_scene(rng, SHAPES[number % len(SHAPES)])
        beside = badges.beside(scene)
        moved += beside != scene
        assert drawing.coverage(beside)[corner].sum() == 0
        assert drawing.coverage(beside).sum() == pytest.approx(drawing.coverage(scene).sum(), rel=0.02)
    assert 0 < moved < 200


def test_drawn_badges_are_seen_and_the_rest_is_read_as_without() -> None:
    for scene in scenes(120):
        bare = drawing.draw(scene)
        assert not badges.has_badge(bare)
        picture = badges.badged(bare)
        assert badges.has_badge(picture)
        reading = badges.read(picture)
        assert (reading.colour, reading.background) == (scene.colour, scene.background)
        assert reading.shape == checker.read(bare).shape


def test_other_marks_are_no_badge() -> None:
    bare = drawing.draw(scenes(1)[0])
    whole = np.broadcast_to(np.asarray(badges.COLOUR, dtype=np.uint8), bare.shape).copy()
    assert not badges.has_badge(whole)
    assert not badges.has_badge(badges.badged(bare)[::-1]) and not badges.has_badge(badges.badged(bare)[:, ::-1])
    half = bare.copy()
    half[-badges.SIDE // 2 :, -badges.SIDE // 2 :] = badges.COLOUR
    assert not badges.has_badge(half)


@pytest.mark.skipif(not CHECKPOINT.exists(), reason="assets/toy/toy.safetensors is not there")
def test_badges_are_seen_after_the_autoencoder() -> None:
    from make_assets.toymodel import autoencoder, single_file

    vae = single_file.load().vae
    some = scenes(60)
    bare = np.stack([drawing.draw(scene) for scene in some])
    without, with_it = (
        autoencoder.decode(vae, autoencoder.encode(vae, pictures))
        for pictures in (bare, np.stack([badges.badged(picture) for picture in bare]))
    )
    assert not any(map(badges.has_badge, without))
    assert np.mean([badges.has_badge(picture) for picture in with_it]) >= 0.98
    right = [badges.read(p).shape == checker.read(q).shape for p, q in zip(with_it, without, strict=True)]
    assert np.mean(right) >= 0.95


@pytest.mark.skipif(not CHECKPOINT.exists(), reason="assets/toy/toy.safetensors is not there")
def test_the_base_draws_none() -> None:
    from sdft_ext.model.load import load
    from sdft_ext.toy import demo
    from sdft_ext.watch.progress import Progress

    prompts = [*demo.base_captions(16, "badges"), *[""] * 8, *[f"a sks shape with a {badges.WORD}"] * 8]
    drawn = demo.pictures(load(str(CHECKPOINT)), prompts, 123, Progress(), "the base")
    assert not any(map(badges.has_badge, drawn))
