"""The figures tell good pictures from bad ones."""

from __future__ import annotations

import numpy as np
import pytest

from sdft_ext.toy import drawing, measure, world


def drawn(count: int, seed: int = 0, **what: str) -> list[world.Scene]:
    rng = np.random.default_rng(seed)
    return [world.sample_scene(rng, **what) for _ in range(count)]  # type: ignore[arg-type]


def test_captions_are_read() -> None:
    assert measure.wanted("a red circle on a white background") == measure.Wanted("circle", "red", "white", False)
    assert measure.wanted("a blue shape on a pink background") == measure.Wanted(None, "blue", "pink", False)
    assert measure.wanted("a red sks shape on a grey background").shape == world.STAR
    assert measure.wanted("a green ring on a black background in twotone style").styled
    assert measure.wanted("") == measure.Wanted(None, None, None, False)


def test_right_pictures_score_one_and_wrong_ones_nothing() -> None:
    scenes = drawn(60)
    pictures = [drawing.draw(scene) for scene in scenes]
    right = [world.caption(scene) for scene in scenes]
    assert measure.base_quality(pictures, right) == pytest.approx({"colour": 1.0, "background": 1.0, "shape": 1.0})

    def next_one(name: str, names: tuple[str, ...]) -> str:
        return names[(names.index(name) + 1) % len(names)]

    wrong = [
        f"a {next_one(s.colour, tuple(world.COLOURS))} {next_one(s.shape, world.SHAPES)}"
        f" on a {next_one(s.background, tuple(world.BACKGROUNDS))} background"
        for s in scenes
    ]
    assert measure.base_quality(pictures, wrong) == {"colour": 0.0, "background": 0.0, "shape": 0.0}


def test_the_class_word_is_right_with_any_known_shape_only() -> None:
    circle, star = drawn(1, shape="circle")[0], drawn(1, shape=world.STAR)[0]
    for scene, share in ((circle, 1.0), (star, 0.0)):
        caption = world.caption(scene, class_word=True)
        assert measure.base_quality([drawing.draw(scene)], [caption])["shape"] == share


def test_learning_and_bleeding() -> None:
    stars = [drawing.draw(s) for s in drawn(8, shape=world.STAR)]
    known = [drawing.draw(s) for s in drawn(24)]
    assert measure.concept_learned(stars) == 1.0
    assert measure.concept_learned(known) == 0.0
    figures = measure.bleeding({"class": known, "empty": [*stars, *known[:8]], "own": known})
    assert figures == {"class": 0.0, "empty": 0.5, "own": 0.0, "worst": 0.5}
    assert measure.shape_drift(known) == 0.0 and measure.shape_drift(stars) == 1.0


def test_style() -> None:
    plain = [drawing.draw(s) for s in drawn(12)]
    two_tone = [drawing.draw(s) for s in drawn(12, style=world.TWO_TONE)]
    assert measure.concept_learned(plain, world.TWO_TONE) == 0.0
    assert measure.concept_learned(two_tone, world.TWO_TONE) == 1.0
    weak, strong = ([reading.darker for reading in measure.read_all(some)] for some in (plain, two_tone))
    assert min(strong) > max(weak) + 0.7


def test_copies_are_found_and_fresh_pictures_are_not() -> None:
    training = [drawing.draw(s) for s in drawn(12, seed=1, shape=world.STAR, colour="red", background="white")]
    fresh = [drawing.draw(s) for s in drawn(24, seed=2, shape=world.STAR, colour="red", background="white")]
    rng = np.random.default_rng(0)
    noisy = [np.clip(p.astype(int) + rng.integers(-8, 9, p.shape), 0, 255).astype(np.uint8) for p in training]
    assert measure.copies(noisy, training)["copied"] == 1.0
    assert measure.copies(fresh, training)["copied"] <= 0.1
    assert measure.copies(noisy, training)["mean_distance"] < measure.copies(fresh, training)["mean_distance"]
