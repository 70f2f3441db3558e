"""The plan: which files, of which size, with which crops; nothing is opened or written."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.dataset.buckets import Bucket, assign
from sdft_ext.dataset.crops import Crop
from sdft_ext.dataset.folder import scan
from sdft_ext.preparation.options import PreparationError, from_plain
from sdft_ext.preparation.plan import Plan, plan
from tests.analysis import images


def made(folder: Path, out: Path, *, crops: Any = None, settings: dict[str, Any] | None = None, **options: Any) -> Plan:
    recipe = images.recipe(folder, **(settings or {}))
    return plan(scan(recipe), folder, out, from_plain(options), recipe, crops)


def targets(found: Plan) -> list[str]:
    return [action.target for action in found.actions]


def test_each_picture_is_cropped_as_in_training(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    images.save(folder / "wide.png", images.image(150, 70))
    images.save(folder / "10_cat" / "tall.jpg", images.image(90, 200))
    found = made(folder, tmp_path / "out")
    assert targets(found) == ["wide.png", "10_cat/tall.png"]
    for action in found.actions:
        assert action.geometry == assign(*action.before, found.recipe)
        assert action.after == (action.geometry.bucket.width, action.geometry.bucket.height)
    assert not (tmp_path / "out").exists()


def test_names_are_never_given_twice(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for name in ("a.png", "a.jpg", "A.bmp", "a-2.png"):
        images.save(folder / name)
    found = made(folder, tmp_path / "out", mirror=True)
    assert len({name.casefold() for name in targets(found)}) == len(found.actions) == 8
    images.save(folder / "b.png")
    images.save(folder / "b-mask.png", images.image(mode="L"))
    assert "b-mask.png" not in targets(made(folder, tmp_path / "out"))


def test_long_and_large_pictures_become_tiles_that_cover_them(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    images.save(folder / "long.png", images.image(300, 64))
    images.save(folder / "large.png", images.image(256, 250))
    images.save(folder / "small.png", images.image(64, 64))
    squares = {"buckets": False}
    long = made(folder, tmp_path / "out", split="long", settings=squares)
    assert long.tiled == ("long.png",)
    tiles = [action.geometry for action in long.of("long.png")]
    assert {tile.bucket for tile in tiles} == {Bucket(64, 64)}
    assert tiles[0].x == 0 and tiles[-1].x + 64 == tiles[-1].resized[0]
    assert all(right.x - left.x <= 64 * 0.8 + 1 for left, right in pairwise(tiles))
    large = made(folder, tmp_path / "out", split="large", settings=squares)
    tiles = [action.geometry for action in large.of("large.png")]
    assert all(tile.resized == (256, 250) for tile in tiles) and len(tiles) == 25
    assert max(tile.x for tile in tiles) == 256 - 64 and max(tile.y for tile in tiles) == 250 - 64
    assert len(large.of("small.png")) == 1
    assert "large.png is cut into 25 tiles." in " ".join(large.notes)


def test_a_crop_by_hand_is_used_and_stays_inside_the_picture(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    images.save(folder / "a.png", images.image(200, 64))
    size = (200, 64)
    squares = {"buckets": False}
    right = made(folder, tmp_path / "out", crops={"a.png": (Crop(1.0, 0.5), size)}, settings=squares).actions[0]
    assert right.by_hand and right.geometry is not None
    assert (right.geometry.x, right.geometry.resized) == (136, (200, 64))
    near = made(folder, tmp_path / "out", crops={"a.png": (Crop(0.5, 0.0, 2.0), size)}, settings=squares).actions[0]
    assert near.geometry is not None and near.geometry.resized == (400, 128)
    assert (near.geometry.x, near.geometry.y) == (168, 0)
    other = made(folder, tmp_path / "out", crops={"a.png": (Crop(1.0, 0.5), (99, 64))}, settings=squares).actions[0]
    assert not other.by_hand, "the picture's size has changed"


def test_undersized_pictures_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    images.save(folder / "small.png", images.image(40, 40))
    images.save(folder / "fine.png", images.image(80, 80))
    found = made(folder, tmp_path / "out")
    assert found.undersized == ("small.png",)
    assert found.notes[0].startswith("small.png is smaller than the bucket and would be enlarged, up to 1.6 times: ")
    assert made(folder, tmp_path / "out", settings={"no_upscale": True}).undersized == ()


def test_only_mirrored_copies_can_be_added_to_the_originals_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    images.fill(folder, 2)
    in_place = made(folder, folder, cut="whole", mirror=True)
    assert [(action.target, action.flip) for action in in_place.actions] == [("000-2.png", True), ("001-2.png", True)]
    with pytest.raises(PreparationError, match="Only mirrored copies of whole pictures"):
        made(folder, folder)
    with pytest.raises(PreparationError, match="is inside the folder of the originals"):
        made(folder, folder / "prepared")
    os.symlink(folder, tmp_path / "link")
    with pytest.raises(PreparationError, match="Only mirrored copies"):
        made(folder, tmp_path / "link")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cut": "sideways"}, "cut is 'sideways'; write one of buckets, whole."),
        ({"quallity": 3}, "There is no option 'quallity'; did you mean 'quality'?"),
        ({"quality": 0}, "quality is '0'; write a whole number from 1 to 100."),
        ({"quality": True}, "quality is 'True'; write a whole number from 1 to 100."),
        ({"overlap": float("nan")}, "overlap is 'nan'; write a number from 0.0 to 0.8."),
        ({"overlap": "0.2"}, "overlap is '0.2'; write a number from 0.0 to 0.8."),
        ({"mirror": "yes"}, "mirror is on or off: write true or false."),
        (
            {"background": "nocolour"},
            "background is 'nocolour', which isn't a colour; write a name such as 'white' or #rrggbb.",
        ),
        ({"background": 3}, "background is not text; write a colour name such as 'white' or #rrggbb."),
        ({"format": ["png"]}, "format is \"['png']\"; write one of png, jpeg, webp."),
        ({"cut": "whole", "split": "long"}, "Tiles have the size of buckets: cut to buckets, or switch splitting off."),
    ],
)
def test_the_error_about_a_wrong_option(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PreparationError) as caught:
        from_plain(options)
    assert str(caught.value) == sentence
