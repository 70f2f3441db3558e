"""Links in a dataset: what they lead to is read in allowed folders only, and nothing is written through them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from sdft_ext.analysis import accepted_duplicates
from sdft_ext.captions.store import CaptionStore
from sdft_ext.dataset import crops, links, pictures
from sdft_ext.dataset.folder import DatasetError, Scan, scan
from sdft_ext.dataset.pictures import PictureError
from sdft_ext.dataset.trash import Trash, TrashError
from sdft_ext.errors import SdftError
from sdft_ext.preparation import record
from sdft_ext.storage import json_file
from sdft_ext.storage.regular_file import NotRegularFile, open_regular
from tests.analysis.images import image, recipe, save


def skipped(found: Scan) -> dict[str, str]:
    return {problem.path.name: problem.text for problem in found.problems if problem.skipped}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset with one link of each kind, all to files outside, and one picture without a link."""
    save(tmp_path / "outside" / "secret.png", image(64, 64, 5))
    (tmp_path / "outside" / "secret.txt").write_text("a secret")
    (tmp_path / "outside" / "deep").mkdir()
    save(tmp_path / "outside" / "deep" / "other.png", image(64, 64, 6))
    folder = tmp_path / "data"
    save(folder / "own.png", image(64, 64, 1))
    (folder / "linked.png").symlink_to(tmp_path / "outside" / "secret.png")
    (folder / "own.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "own-mask.png").symlink_to(tmp_path / "outside" / "secret.png")
    (folder / "sub").symlink_to(tmp_path / "outside" / "deep")
    return folder


def test_links_out_are_left_out_and_named(data: Path) -> None:
    found = scan(recipe(data))
    assert [(p.path.name, p.caption, p.mask_path) for p in found.pictures] == [("own.png", "own", None)]
    assert sorted(skipped(found)) == ["linked.png", "own-mask.png", "own.txt", "sub"]
    assert all("is a link that leads out" in text and "linked_folder" in text for text in skipped(found).values())


def test_the_setting_names_where_else_links_may_lead(data: Path) -> None:
    found = scan(recipe(data, linked_folder=str(data.parent / "outside")))
    assert [p.path.name for p in found.pictures] == ["linked.png", "own.png", "other.png"] and not found.problems
    assert found.pictures[1].caption == "a secret" and found.pictures[1].mask_path is not None


def test_a_link_into_the_other_folder_of_the_recipe_is_followed(data: Path) -> None:
    save(data.parent / "class" / "001.png")
    (data / "again.png").symlink_to(data.parent / "class" / "001.png")
    assert "again.png" not in skipped(scan(recipe(data, data.parent / "class")))


def test_the_chosen_folder_itself_may_be_a_link(data: Path, tmp_path: Path) -> None:
    (tmp_path / "chosen").symlink_to(data)
    assert [p.path.name for p in scan(recipe(tmp_path / "chosen")).pictures] == ["own.png"]


@pytest.mark.parametrize("target", [".", "..", "/", "loop", "nowhere"])
def test_a_link_to_anywhere_neither_hangs_nor_breaks_the_dataset(data: Path, target: str) -> None:
    (data / "loop").symlink_to(target)
    found = scan(recipe(data))
    assert [p.path.name for p in found.pictures] == ["own.png"]
    assert ("loop" in skipped(found)) == (target != ".")


def test_a_dataset_of_nothing_but_links_out_is_an_error(data: Path) -> None:
    (data / "own.png").unlink()
    with pytest.raises(DatasetError, match="is a link that leads out"):
        scan(recipe(data))


def test_nothing_is_moved_through_a_link(data: Path) -> None:
    with pytest.raises(TrashError, match="sub is a link, and nothing is written"):
        Trash(data).remove([data / "sub" / "other.png"])
    assert (data.parent / "outside" / "deep" / "other.png").is_file()
    Trash(data).remove([data / "linked.png"])  # the link itself may go
    assert (data.parent / "outside" / "secret.png").is_file() and not os.path.lexists(data / "linked.png")


def test_which_paths_lead_through_a_link(data: Path) -> None:
    assert links.link_to(data, data / "own.png") is None
    assert links.link_to(data, data / "new" / "file.png") is None
    assert links.link_to(data, data / "sub" / "other.png") == data / "sub"
    assert links.link_to(data, data / "own.txt") == data / "own.txt"
    assert links.link_to(data, data / ".." / "x") is not None and links.link_to(data, data.parent) is not None


# -- files that are none ----------------------------------------------------------------------------------------------


def make(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            here = os.getcwd()
            os.chdir(path.parent)  # a socket's path must be short
            try:
                made.bind(path.name)
            finally:
                os.chdir(here)
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("name", ["b.png", "a.txt", "a-mask.png"])
def test_special_files_are_left_out_and_named(tmp_path: Path, name: str, kind: str) -> None:
    save(tmp_path / "a.png")
    make(tmp_path / name, kind)
    found = scan(recipe(tmp_path, linked_folder="/dev" if kind == "device" else ""))
    assert [(p.path.name, p.caption, p.mask_path) for p in found.pictures] == [("a.png", "a", None)]
    assert list(skipped(found)) == [name] and "not a file" in skipped(found)[name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_takes_a_file_s_place_after_the_scan_is_not_read(tmp_path: Path, kind: str) -> None:
    make(tmp_path / "a.png", kind)
    with pytest.raises(NotRegularFile):
        open_regular(tmp_path / "a.png")
    for read in (pictures.read_header, pictures.open_picture):
        with pytest.raises(PictureError, match="not a file"):
            read(tmp_path / "a.png")


HIDDEN: dict[str, Callable[[Path], object]] = {
    "kept.json": lambda folder: accepted_duplicates.AcceptedDuplicates([folder]).groups,
    "crops.json": crops.read,
    "prepared.json": record.written,
    "trash/1/removal.json": lambda folder: Trash(folder).removals(),
    "captions/journal.jsonl": CaptionStore,
    "captions/lock": CaptionStore,
    "regularization.json": lambda folder: json_file.read_or(folder / ".sdft" / "regularization.json", {}),
}
"""Readers of the files in a dataset's hidden folder."""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("name", HIDDEN)
def test_special_files_in_the_hidden_folder_hold_nothing_up(tmp_path: Path, name: str, kind: str) -> None:
    save(tmp_path / "a.png")
    path = tmp_path / ".sdft" / name
    path.parent.mkdir(parents=True)
    make(path, kind)
    found: list[object] = []

    def read() -> None:
        with suppress(SdftError, OSError):
            found.append(HIDDEN[name](tmp_path))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(20)
    assert not reader.is_alive(), "it waits for the pipe's other end, or reads without end"
    assert all(isinstance(one, CaptionStore) or not one for one in found)
    assert [p.path.name for p in scan(recipe(tmp_path)).pictures] == ["a.png"]


def test_a_file_of_any_size_is_not_read_into_memory(tmp_path: Path) -> None:
    good = save(tmp_path / "good.webp").read_bytes()
    (tmp_path / "huge.webp").write_bytes(good)
    os.truncate(tmp_path / "huge.webp", 2**40)  # without blocks
    with pytest.raises(PictureError, match="larger than 2 GB"):
        pictures.read_header(tmp_path / "huge.webp")
    assert np.asarray(pictures.open_picture(tmp_path / "good.webp")[0]).shape == (64, 64, 3)
