"""Masks painted by hand: where they are stored, backups, refused data; and that training uses them at once."""

from __future__ import annotations

import base64
import dataclasses
import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdft_ext.dataset.batches import Batches
from sdft_ext.dataset.cache import Latents
from sdft_ext.dataset.folder import Picture, scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.preparation import masks
from sdft_ext.preparation.options import PreparationError
from sdft_ext.recipe import TrainRecipe
from tests.analysis import images


def only(folder: Path) -> Picture:
    (picture,) = scan(images.recipe(folder)).pictures
    return picture


def url(mask: Image.Image) -> str:
    data = io.BytesIO()
    mask.save(data, "PNG")
    return masks.PREFIX + base64.b64encode(data.getvalue()).decode()


def half(size: tuple[int, int] = (64, 64), mode: str = "RGBA") -> Image.Image:
    """Make a mask that trains the left half."""
    mask = Image.new("L", size, 0)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    return mask.convert(mode)


def claiming(side: int) -> bytes:
    """Make a PNG of a few bytes whose header claims ``side`` pixels a side."""
    data = io.BytesIO()
    Image.new("L", (1, 1)).save(data, "PNG")
    head = b"IHDR" + struct.pack(">II", side, side) + data.getvalue()[24:29]
    return data.getvalue()[:12] + head + struct.pack(">I", zlib.crc32(head)) + data.getvalue()[33:]


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L"])
def test_a_painted_mask_is_the_loss_weight_map_of_the_next_batch(tmp_path: Path, mode: str) -> None:
    images.save(tmp_path / "a.png")
    recipe = images.recipe(tmp_path)

    def weights() -> torch.Tensor | None:
        latents = Latents(recipe, images.Cells(), "cells", None)
        found = latents.prepare(scan(recipe))
        return Batches(Plan(found, recipe, TrainRecipe(batch_size=1)), latents).at(0).mask

    assert weights() is None
    masks.write(tmp_path, only(tmp_path), url(half(mode=mode)), "")
    found = weights()
    assert found is not None and found.shape == (1, 1, 8, 8)
    assert np.array_equal(found[0, 0].numpy(), np.repeat([[1.0] * 4 + [0.0] * 4], 8, axis=0))


def test_masks_have_the_size_of_their_picture_and_are_read_back(tmp_path: Path) -> None:
    images.save(tmp_path / "a.jpg", images.image(2000, 500))
    picture = only(tmp_path)
    assert masks.painted_size(picture) == (1024, 256) and masks.read(picture) == ""
    version = masks.write(tmp_path, picture, url(half((1024, 256))), masks.version(picture))
    with Image.open(tmp_path / "a-mask.png") as mask:
        assert (mask.mode, mask.size) == ("L", (2000, 500))
    again = only(tmp_path)
    assert again.mask_path == tmp_path / "a-mask.png" and masks.version(again) == version != ""
    back = Image.open(io.BytesIO(base64.b64decode(masks.read(again)[len(masks.PREFIX) :])))
    assert (
        back.size == (1024, 256) and np.abs(np.asarray(back, int) - np.asarray(half((1024, 256), "L"), int)).mean() < 1
    )


def test_a_replaced_mask_is_backed_up_and_one_changed_since_is_not_replaced(tmp_path: Path) -> None:
    images.save(tmp_path / "a.png")
    images.save(tmp_path / "a-mask.jpg", images.image(mode="L"))
    former = (tmp_path / "a-mask.jpg").read_bytes()
    picture = only(tmp_path)
    with pytest.raises(masks.MaskChanged, match=r"a-mask.jpg has been changed by another program; open the mask again"):
        masks.write(tmp_path, picture, url(half()), "a-mask.jpg:1:1")
    masks.write(tmp_path, picture, url(half()), masks.version(picture))
    assert not (tmp_path / "a-mask.jpg").exists(), "a picture has one mask"
    (kept,) = (tmp_path / ".sdft" / "masks").iterdir()
    assert kept.read_bytes() == former
    picture = only(tmp_path)
    masks.remove(tmp_path, picture, masks.version(picture))
    assert only(tmp_path).mask_path is None and len(list((tmp_path / ".sdft" / "masks").iterdir())) == 2


@pytest.mark.parametrize("removed", [False, True])
def test_every_replaced_mask_is_backed_up(tmp_path: Path, removed: bool) -> None:
    images.save(tmp_path / "a.png")
    images.save(tmp_path / "b.png")
    for place, name in enumerate(("a-mask.webp", "a-mask.png", "b-mask.png")):
        images.save(tmp_path / name, images.image(seed=place, mode="L"))
    before = {path.read_bytes() for path in tmp_path.glob("a-mask.*")}
    picture = next(one for one in scan(images.recipe(tmp_path)).pictures if one.path.name == "a.png")
    if removed:
        masks.remove(tmp_path, picture, masks.version(picture))
    else:
        masks.write(tmp_path, picture, url(half()), masks.version(picture))
    assert {path.name for path in tmp_path.glob("*-mask.*")} == {"b-mask.png", *(() if removed else ("a-mask.png",))}
    assert {path.read_bytes() for path in (tmp_path / ".sdft" / "masks").iterdir()} == before


def test_of_several_who_paint_over_the_same_mask_only_one_succeeds(tmp_path: Path) -> None:
    images.save(tmp_path / "a.png", images.image(900, 900))
    picture = only(tmp_path)
    painted = url(images.image(900, 900, 5, "L"))

    def store(number: int) -> str:
        try:
            return masks.write(tmp_path, picture, painted, "")
        except masks.MaskChanged:
            return ""

    with ThreadPoolExecutor(8) as pool:
        assert sum(map(bool, pool.map(store, range(8)))) == 1


def test_transparency_is_a_mask(tmp_path: Path) -> None:
    clear = images.image(64, 64, 1, "RGBA")
    clear.putalpha(half(mode="L"))
    images.save(tmp_path / "a.png", clear)
    found = masks.read(only(tmp_path), from_alpha=True)
    back = Image.open(io.BytesIO(base64.b64decode(found[len(masks.PREFIX) :])))
    assert np.array_equal(np.asarray(back), np.asarray(half(mode="L")))
    images.save(tmp_path / "a.png")
    assert masks.read(only(tmp_path), from_alpha=True) == ""


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("", "A mask must be a PNG data URL"),
        ("data:image/svg+xml;base64,PHN2Zz4=", "A mask must be a PNG data URL"),
        (masks.PREFIX + "!!!", "The mask isn't a readable PNG; paint it again."),
        (
            masks.PREFIX + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 50).decode(),
            "The mask isn't a readable PNG",
        ),
        (masks.PREFIX + "A" * (9 * 2**20), "of at most 8 MiB"),
        (masks.PREFIX + base64.b64encode(claiming(40_000)).decode(), "The mask isn't a readable PNG"),
        (url(half((63, 64))), "The mask has 63 × 64 pixels instead of 64 × 64; open the picture again."),
        (
            url(Image.new("RGBA", (64, 64), (0, 0, 0, 255))),
            "The mask is all black, so nothing of the picture would be trained",
        ),
        (url(Image.new("RGBA", (64, 64), (255, 255, 255, 0))), "The mask is all black"),
    ],
)
def test_data_that_is_not_a_mask_is_refused_and_nothing_is_written(tmp_path: Path, data: str, sentence: str) -> None:
    images.save(tmp_path / "a.png")
    with pytest.raises(PreparationError) as caught:
        masks.write(tmp_path, only(tmp_path), data, "")
    assert sentence in str(caught.value) and [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_link_in_place_of_the_hidden_folder_is_refused(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "pictures", tmp_path / "elsewhere"
    elsewhere.mkdir()
    images.save(folder / "a.png")
    images.save(folder / "a-mask.png", half(mode="L"))
    (folder / ".sdft").symlink_to(elsewhere)
    picture = only(folder)
    with pytest.raises(PreparationError, match="is a link; remove it"):
        masks.remove(tmp_path, picture, masks.version(picture))
    assert (folder / "a-mask.png").exists() and list(elsewhere.iterdir()) == []
    gone = dataclasses.replace(picture, mask_path=folder / "b-mask.png")
    assert masks.version(gone) == ""


def test_a_mask_is_neither_written_nor_copied_through_a_link(tmp_path: Path) -> None:
    images.save(tmp_path / "outside" / "b.png")
    secret = images.save(tmp_path / "outside" / "secret.png", images.image(mode="L"))
    folder = tmp_path / "set"
    images.save(folder / "a.png")
    (folder / "a-mask.png").symlink_to(secret)
    (folder / "sub").symlink_to(tmp_path / "outside")
    before = secret.read_bytes()
    assert masks.read(only(folder)) == ""
    found = scan(images.recipe(folder, linked_folder=str(tmp_path / "outside"))).pictures
    masked, below = (next(p for p in found if p.path.name == name) for name in ("a.png", "b.png"))
    for picture in (masked, below):
        for change in (
            lambda p=picture: masks.write(folder, p, url(half()), masks.version(p)),
            lambda p=picture: masks.remove(folder, p, masks.version(p)),
        ):
            with pytest.raises(PreparationError, match="is a link, and nothing is written through links"):
                change()
    assert secret.read_bytes() == before and not (folder / ".sdft").exists()
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["b.png", "secret.png"]
