"""Pictures that are opened again at a step must be those that the run began with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sdft_ext.dataset import cache, unchanged
from sdft_ext.dataset.buckets import assign
from sdft_ext.dataset.cache import Latents, View
from sdft_ext.dataset.folder import DatasetError, scan
from sdft_ext.recipe import DatasetRecipe
from tests.analysis.images import Cells, image, recipe, save


def begun(settings: DatasetRecipe, folder: Path) -> tuple[Latents, list[View]]:
    latents = Latents(settings, Cells(), "vae", folder)
    found = latents.prepare(scan(settings))
    return latents, [View(p, assign(p.width, p.height, settings).moved(0.5, 0.5), False) for p in found.pictures]


@pytest.mark.parametrize("settings", [{"cache": "none"}, {"crop": "random"}, {"cache": "disk"}])
@pytest.mark.parametrize("name", ["a.png", "a-mask.png"])
def test_a_replaced_file_is_named(
    tmp_path: Path, settings: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MEMORY", 0)  # so that the disk cache is read again
    for number, file in enumerate(("a.png", "a-mask.png", "b.png")):
        save(tmp_path / "in" / file, image(80, 64, number))
    latents, (first, second) = begun(recipe(tmp_path / "in", **settings), tmp_path / "cache")
    latents.get([first])
    latents.get([second])
    before = (tmp_path / "in" / name).read_bytes()
    save(tmp_path / "in" / name, image(80, 64, 9))
    with pytest.raises(DatasetError, match=f"/{name} was replaced while the run trains: put the former file back"):
        latents.get([first])
    (tmp_path / "in" / name).write_bytes(before)
    assert len(latents.get([first])) == 1, "the same content, with another date"


def test_a_file_is_read_again_only_where_its_date_has_changed(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    (picture,) = scan(recipe(tmp_path / "in")).pictures
    read: list[Path] = []
    contents = unchanged.FirstContents(lambda path: str(read.append(path)))
    contents.note(picture)
    contents.check(picture)
    assert len(read) == 1
    os.utime(picture.path, (1, 1))
    contents.check(picture)
    contents.check(picture)
    assert len(read) == 2


def test_a_file_of_the_same_size_and_date_is_read_again(tmp_path: Path) -> None:
    path = save(tmp_path / "in" / "a.bmp", image(64, 64, 1))
    latents, (view,) = begun(recipe(tmp_path / "in", cache="none"), tmp_path / "cache")
    before = path.stat()
    save(path, image(64, 64, 2))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(DatasetError, match="was replaced while the run trains"):
        latents.get([view])


def test_pictures_that_stay_in_memory_may_be_replaced(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    latents, (view,) = begun(recipe(tmp_path / "in"), tmp_path / "cache")
    before = latents.get([view])[0].mean
    save(tmp_path / "in" / "a.png", image(seed=7))
    assert (latents.get([view])[0].mean == before).all()
