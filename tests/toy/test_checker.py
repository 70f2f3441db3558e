"""The checker reads what was drawn, also after the autoencoder, and says so when a picture shows something else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sdft_ext.toy import checker, drawing, world
from sdft_ext.toy.install import CHECKPOINT

ALL_SHAPES = (*world.SHAPES, world.STAR)


STYLES = (None, world.TWO_TONE)


def scenes(seed: int, each: int, style: str | None = None) -> list[world.Scene]:
    rng = np.random.default_rng(seed)
    return [world.sample_scene(rng, shape=shape, style=style) for shape in ALL_SHAPES for _ in range(each)]


def shares_right(drawn: list[world.Scene], pictures: list[world.Picture]) -> dict[str, float]:
    readings = [checker.read(picture) for picture in pictures]
    return {
        name: float(np.mean([getattr(r, name) == getattr(s, name) for r, s in zip(readings, drawn, strict=True)]))
        for name in ("shape", "colour", "background")
    } | {"style": float(np.mean([r.styled == (s.style is not None) for r, s in zip(readings, drawn, strict=True)]))}


@pytest.mark.parametrize("style", STYLES)
def test_drawn_pictures_are_read_right(style: str | None) -> None:
    drawn = scenes(11, 50, style)
    shares = shares_right(drawn, [drawing.draw(scene) for scene in drawn])
    assert min(shares.values()) >= 0.99, shares


@pytest.mark.skipif(not CHECKPOINT.exists(), reason="assets/toy/toy.safetensors is not there")
def test_reconstructed_pictures_are_read_right() -> None:
    from make_assets.toymodel import autoencoder, single_file

    vae = single_file.load().vae
    for style in STYLES:
        drawn = scenes(12, 34, style)
        pictures = np.stack([drawing.draw(scene) for scene in drawn])
        rebuilt = autoencoder.decode(vae, autoencoder.encode(vae, pictures))
        shares = shares_right(drawn, list(rebuilt))
        assert min(shares.values()) >= 0.97, shares
        dark = [n for n, scene in enumerate(drawn) if scene.background == "black"]
        shares = shares_right([drawn[n] for n in dark], [rebuilt[n] for n in dark])
        assert min(shares.values()) >= 0.95, shares


def test_an_empty_picture_shows_nothing() -> None:
    reading = checker.read(np.full((64, 64, 3), 250, dtype=np.uint8))
    assert (reading.shape, reading.colour, reading.background) == (checker.NONE, checker.NONE, "white")


def test_noise_is_not_a_shape() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        reading = checker.read(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        assert reading.shape in (checker.UNKNOWN, checker.NONE)


def test_two_objects_are_not_a_shape() -> None:
    white, red = (250, 250, 250), (220, 35, 35)
    left = world.Scene("circle", "red", "white", 17.0, 20.0, 12.0, 0.0, red, white)
    right = world.Scene("square", "red", "white", 47.0, 44.0, 10.0, 0.0, red, white)
    picture = np.minimum(drawing.draw(left), drawing.draw(right))
    assert checker.read(picture).shape == checker.UNKNOWN


@pytest.mark.parametrize("colour", [(128, 128, 0), (0, 200, 200), (120, 70, 30)])
def test_a_colour_without_a_name_is_unknown(colour: world.RGB) -> None:
    scene = world.Scene("circle", "red", "white", 32.0, 32.0, 18.0, 0.0, colour, (250, 250, 250))
    assert checker.read(drawing.draw(scene)).colour == checker.UNKNOWN


def test_a_background_without_a_name_is_unknown() -> None:
    scene = world.Scene("circle", "red", "white", 32.0, 32.0, 18.0, 0.0, (220, 35, 35), (60, 120, 160))
    assert checker.read(drawing.draw(scene)).background == checker.UNKNOWN


def test_another_shape_is_read_as_another() -> None:
    """Every shape is told from every other: no reading agrees with a caption that names something else."""
    for scene in scenes(13, 6):
        reading = checker.read(drawing.draw(scene))
        assert all(reading.shape != other for other in ALL_SHAPES if other != scene.shape)


def test_a_plain_picture_half_way_to_the_star_is_less_sure() -> None:
    circle = world.Scene("circle", "red", "white", 32.0, 32.0, 15.0, 0.0, (220, 35, 35), (250, 250, 250))
    star = world.Scene(world.STAR, "red", "white", 32.0, 32.0, 18.0, 0.0, (220, 35, 35), (250, 250, 250))
    between = np.minimum(drawing.draw(circle), drawing.draw(star))
    assert checker.read(between).shape_overlap < checker.read(drawing.draw(circle)).shape_overlap - 0.03


def shaded(scene: world.Scene, brightness: np.ndarray) -> world.Picture:
    """Draw a scene whose shape is darker where ``brightness`` (0–1) is low."""
    shade = 1 - drawing.coverage(scene) * 0.6 * (1 - brightness)
    return (drawing.draw(scene) * shade[..., None]).astype(np.uint8)


def test_other_shading_is_not_the_style() -> None:
    """Dark edges, stripes, and a dark half on another side; blotches, but for a few that happen to be at the bottom."""
    draws = np.random.default_rng(14)
    rows, columns = np.mgrid[0 : world.SIZE, 0 : world.SIZE]
    blotched, others, two_tone = [], [], []
    for scene in scenes(14, 10):
        inside = drawing.coverage(scene)
        field = ndimage.gaussian_filter(draws.standard_normal(inside.shape), 4)
        low, high = field[inside > 0.5].min(), field[inside > 0.5].max()
        blotched.append(checker.read(shaded(scene, np.clip((field - low) / (high - low), 0, 1))))
        edge = ndimage.distance_transform_edt(inside > 0.5) > 3
        for bright in (edge, drawing.stripes(20, 45), columns < scene.x, columns > scene.x, rows > scene.y):
            others.append(checker.read(shaded(scene, bright.astype(np.float32))))
        two_tone.append(checker.read(shaded(scene, (rows < scene.y).astype(np.float32))))
    assert all(reading.styled for reading in two_tone)
    assert sum(reading.styled for reading in blotched) <= 0.15 * len(blotched)
    assert not any(reading.styled for reading in others)
