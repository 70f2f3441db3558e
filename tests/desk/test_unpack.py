"""Names of uploaded files, and a dataset's trash, without a server."""

from __future__ import annotations

import os
import shutil
import struct
import tracemalloc
from pathlib import Path

import pytest

from sdft_ext.dataset.trash import Trash, TrashError
from sdft_ext.desk.unpack import Refusals, UploadError, clean, unpack
from sdft_ext.storage.hidden_folder import HiddenFolderError, hidden_folder
from tests.analysis.images import fill, image, save


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.png", ("a.png",)),
        ("./sub//a.png", ("sub", "a.png")),
        ("sub\\a.png", ("sub", "a.png")),
        ("a..b.png", ("a..b.png",)),
        ("two\r\nlines\x00.png", ("two__lines_.png",)),
        ("line\u2028.png", ("line_.png",)),
        ("<b> & 🐱.png", ("<b> & 🐱.png",)),
        (".DS_Store", None),
        ("__MACOSX/a.png", None),
        (".hidden/a.png", None),
    ],
)
def test_names_stay_below_the_folder(name: str, parts: tuple[str, ...] | None):
    if os.name == "nt" and parts and "<" in name:
        parts = ("_b_ & 🐱.png",)
    assert clean(name) == parts


@pytest.mark.parametrize(
    "name", ["..", "../a.png", "a/../b.png", "a\\..\\b.png", "/a.png", "\\a.png", "c:a.png", "", "/", "a/" * 20]
)
def test_names_that_lead_elsewhere_are_refused(name: str):
    with pytest.raises(UploadError):
        clean(name)


@pytest.mark.parametrize(
    ("entries", "claims", "says"),
    [(200_000, 0, "contains more than 100,000 files"), (1, 2**28, "lists far too many files")],
)
def test_a_list_of_far_too_many_files_is_not_read(tmp_path: Path, entries: int, claims: int, says: str):
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"a"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, claims or len(entry) * entries, 0, 0)
    with open(tmp_path / "a.zip", "wb") as file:
        file.truncate(claims)  # a hole: it takes no place on the disk
        file.seek(0, os.SEEK_END)
        file.write(entry * (0 if claims else entries) + end)
    tracemalloc.start()
    with pytest.raises(UploadError, match=says):
        unpack(tmp_path / "a.zip", "a.zip", 2**40, lambda *_: None, Refusals())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_long_names_are_shortened_and_stay_apart():
    one, other = (clean("ä" * 300 + f"{n}.png")[0] for n in (1, 2))  # type: ignore[index]
    assert one != other and one.endswith(".png") and max(len(one.encode()), len(other.encode())) <= 200


def test_what_a_killed_program_left_half_moved_can_be_put_back(tmp_path: Path):
    """The record is written first: files that hadn't moved yet are in their places, the others come back."""
    fill(tmp_path, 3)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    removal = Trash(tmp_path).remove(sorted(tmp_path.glob("*.png")))
    os.replace(Trash(tmp_path).file(removal, "001.png"), tmp_path / "001.png")
    back = Trash(tmp_path).restore(removal.id)
    assert [path.name for path in back] == ["000.png", "002.png"]
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.png")} == before


def test_all_are_removed_or_none(tmp_path: Path):
    fill(tmp_path, 2)
    with pytest.raises(TrashError, match="is gone"):
        Trash(tmp_path).remove([tmp_path / "000.png", tmp_path / "gone.png"])
    with pytest.raises(TrashError, match="is not in the folder"):
        Trash(tmp_path / "sub").remove([tmp_path / "000.png"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000.png", "001.png"]


def test_a_caption_that_two_pictures_share_stays(tmp_path: Path):
    save(tmp_path / "a.png", image())
    save(tmp_path / "a.jpg", image())
    (tmp_path / "a.txt").write_text("both")
    Trash(tmp_path).remove([tmp_path / "a.png"])
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.jpg", "a.txt"]
    Trash(tmp_path).remove([tmp_path / "a.jpg"])
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_the_programs_own_folder_is_not_a_link(tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / ".sdft").symlink_to(tmp_path / "outside")
    with pytest.raises(HiddenFolderError, match="is a link"):
        hidden_folder(tmp_path / "cats", "trash", make=True)
    assert list((tmp_path / "outside").iterdir()) == []
    with pytest.raises(HiddenFolderError, match="is gone"):
        hidden_folder(tmp_path / "nowhere", make=True)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs links")
@pytest.mark.parametrize("linked", ["files", "files/sub"])
def test_a_link_in_the_trash_brings_nothing_in_from_elsewhere(tmp_path: Path, linked: str):
    outside, folder = tmp_path / "outside", tmp_path / "cats"
    save(outside / "a.png", image())
    save(folder / "sub" / "a.png", image())
    removal = Trash(folder).remove([folder / "sub" / "a.png"])
    link = folder / ".sdft" / "trash" / removal.id / linked
    (outside / "sub").symlink_to(outside)
    shutil.rmtree(link)
    link.symlink_to(outside)
    with pytest.raises((HiddenFolderError, TrashError), match="is a link"):
        Trash(folder).restore(removal.id)
    assert (outside / "a.png").is_file() and not (folder / "sub" / "a.png").exists()
