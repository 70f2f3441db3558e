"""Buckets: areas, sides, and each picture's crop."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdft_ext.dataset.buckets import Bucket, assign, limits, sizes
from sdft_ext.recipe import DatasetRecipe

SIDES = st.integers(16, 6000)
RECIPES = st.builds(
    DatasetRecipe,
    resolution=st.sampled_from([16, 64, 72, 256, 500, 512, 768, 1024]),
    buckets=st.booleans(),
    bucket_step=st.sampled_from([8, 12, 16, 64, 128]),
    bucket_min=st.sampled_from([8, 32, 256, 1024]),
    bucket_max=st.sampled_from([8, 128, 1024, 2048]),
    no_upscale=st.booleans(),
)


def test_the_usual_buckets_of_512() -> None:
    found = {(b.width, b.height) for b in sizes(limits(DatasetRecipe()))}
    tall = {(256, 1024), (320, 768), (384, 640), (448, 576)}
    # a long side between two of those gets the tallest width that fits
    between = {(256, 960), (256, 896), (256, 832), (320, 704), (384, 640), (448, 576)}
    assert found == tall | between | {(h, w) for w, h in tall | between} | {(512, 512)}


@settings(deadline=None, max_examples=300)
@given(SIDES, SIDES, RECIPES)
def test_every_picture_covers_its_bucket(width: int, height: int, recipe: DatasetRecipe) -> None:
    g = assign(width, height, recipe)
    b = g.bucket
    assert b.width % 8 == 0 and b.height % 8 == 0 and min(b.width, b.height) >= 8
    assert g.resized[0] >= b.width and g.resized[1] >= b.height
    assert 0 <= g.x <= g.slack[0] and 0 <= g.y <= g.slack[1]
    if not recipe.no_upscale:
        assert b in sizes(limits(recipe))
        assert g.slack[0] == 0 or g.slack[1] == 0
        assert b.width * b.height <= recipe.resolution**2
    else:
        assert g.resized[0] <= width and g.resized[1] <= height
    if not recipe.buckets:
        assert b.width == b.height


@settings(deadline=None)
@given(st.integers(100, 4000), st.integers(100, 4000))
def test_no_other_bucket_has_a_nearer_shape(width: int, height: int) -> None:
    recipe = DatasetRecipe()
    chosen = assign(width, height, recipe).bucket
    distances = {b: abs(math.log(b.width / b.height) - math.log(width / height)) for b in sizes(limits(recipe))}
    assert distances[chosen] == pytest.approx(min(distances.values()))


def test_the_nearest_aspect_ratio_is_measured_as_a_factor_tall_and_wide_alike() -> None:
    # 0.36 lies nearer to 256/832 by difference, nearer to 320/768 by factor
    assert assign(360, 1000, DatasetRecipe()).bucket == Bucket(320, 768)
    assert assign(1000, 360, DatasetRecipe()).bucket == Bucket(768, 320)


def test_the_defaults_work_for_small_models() -> None:
    assert sizes(limits(DatasetRecipe(resolution=64))) == (Bucket(64, 64),)
    assert Bucket(48, 80) in sizes(limits(DatasetRecipe(resolution=64, bucket_step=16, bucket_min=32, bucket_max=128)))
    assert assign(100, 100, DatasetRecipe(resolution=16, bucket_step=64)).bucket == Bucket(16, 16)


def test_never_enlarge() -> None:
    small = DatasetRecipe(no_upscale=True)
    assert assign(300, 200, small).bucket == Bucket(256, 192)
    assert assign(300, 200, small).resized == (300, 200)
    assert assign(50, 40, small).bucket == Bucket(48, 40)
    assert assign(2000, 2000, small) == assign(2000, 2000, DatasetRecipe())
    assert assign(300, 200, DatasetRecipe()).resized[0] > 300
    assert assign(300, 200, DatasetRecipe(no_upscale=True, buckets=False)).bucket == Bucket(192, 192)


def test_crops_are_in_the_middle_and_can_move_everywhere() -> None:
    g = assign(1000, 500, DatasetRecipe(buckets=False))
    assert (g.resized, g.x, g.y) == ((1024, 512), 256, 0)
    assert g.kept == pytest.approx(0.5)
    assert {g.moved(u / 1000, 0.5).x for u in range(1000)} >= {0, 512}
    assert max(g.moved(u / 1000, 0.999).x for u in range(1000)) == 512
    assert g.moved(0.999, 0.999).y == 0
