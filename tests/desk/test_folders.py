"""Which folders may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdft_ext.desk import Desk, DeskError, NotAllowed, NotFound
from sdft_ext.desk.folders import Folders
from tests.analysis.images import image, save
from tests.desk.setting import values


def folders(tmp_path: Path, *, may_add: bool) -> Folders:
    (tmp_path / "allowed" / "inner").mkdir(parents=True, exist_ok=True)
    return Folders(
        tmp_path / "state" / "folders.json", lambda: [tmp_path / "allowed", tmp_path / "gone"], lambda: may_add
    )


def test_what_lies_inside_a_root_is_allowed_and_its_neighbours_are_not(tmp_path: Path):
    shared = folders(tmp_path, may_add=False)
    (tmp_path / "allowed-too").mkdir()
    assert shared.roots() == [tmp_path / "allowed"], "a root that is gone is none"
    assert shared.folder(str(tmp_path / "allowed" / "inner")) == tmp_path / "allowed" / "inner"
    assert shared.folder(str(tmp_path / "allowed" / "inner" / "..")) == tmp_path / "allowed"
    for path in (
        tmp_path,
        tmp_path / "allowed-too",
        tmp_path / "allowed" / ".." / "allowed-too",
        tmp_path / "not there",
    ):
        with pytest.raises(NotAllowed):
            shared.folder(str(path))


@pytest.mark.parametrize("may_add", [True, False])
def test_errors_say_what_to_do(tmp_path: Path, may_add: bool):
    some = folders(tmp_path, may_add=may_add)
    (tmp_path / "allowed" / "file.txt").write_text("")
    with pytest.raises(NotFound, match="check its name"):
        some.folder(str(tmp_path / "allowed" / "nothing"))
    with pytest.raises(DeskError, match="is a file"):
        some.folder(str(tmp_path / "allowed" / "file.txt"))
    for text in ("", "  ", "a\0b", "relative/path"):
        with pytest.raises(DeskError):
            some.folder(text)


def test_a_typed_folder_is_remembered_while_its_user_is_local(tmp_path: Path):
    (tmp_path / "typed").mkdir()
    local = folders(tmp_path, may_add=True)
    local.folder(str(tmp_path / "typed"))
    assert tmp_path / "typed" not in local.roots(), "looking is not using"
    local.folder(str(tmp_path / "typed"), remember=True)
    assert tmp_path / "typed" in folders(tmp_path, may_add=True).roots(), "after a restart too"
    shared = folders(tmp_path, may_add=False)
    assert tmp_path / "typed" not in shared.roots()
    with pytest.raises(NotAllowed):
        shared.folder(str(tmp_path / "typed"))


def test_a_damaged_memory_is_an_empty_one(tmp_path: Path):
    local = folders(tmp_path, may_add=True)
    for text in ("", "{", "{}", "[1, null]"):
        local.file.parent.mkdir(exist_ok=True)
        local.file.write_text(text)
        assert local.roots() == [tmp_path / "allowed"]


def test_a_picker_goes_up_to_the_root_and_no_further(tmp_path: Path):
    shared = folders(tmp_path, may_add=False)
    inner = shared.listing(str(tmp_path / "allowed" / "inner"), lambda _: 0)
    assert inner["parent"] == str(tmp_path / "allowed")
    assert shared.listing(inner["parent"], lambda _: 0)["parent"] is None
    assert folders(tmp_path, may_add=True).listing(inner["parent"], lambda _: 0)["parent"] == str(tmp_path)


def test_only_a_folder_of_pictures_is_remembered(desk: Desk, tmp_path: Path):
    save(tmp_path / "mine" / "cats" / "one.png", image(64, 64))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="contains no pictures"):
        desk.datasets.open(str(tmp_path / "empty"), 4)
    assert not desk.folders.file.exists()
    assert desk.datasets.open(str(tmp_path / "mine" / "cats"), 4)["pictures"] == 1
    assert tmp_path / "mine" / "cats" in desk.folders.roots()


@pytest.mark.parametrize("quoted", ['"{}"', "'{}'", ' "{}" '])
def test_a_path_may_be_in_quotes(desk: Desk, data: Path, tmp_path: Path, quoted: str):
    """As Windows' "Copy as path" puts it into the clipboard."""
    shared = folders(tmp_path, may_add=False)
    assert shared.folder(quoted.format(tmp_path / "allowed" / "inner")) == tmp_path / "allowed" / "inner"
    with pytest.raises(NotAllowed):
        shared.folder(quoted.format(tmp_path))
    instance = quoted.format(data / "instance")
    sent = values(data)
    sent["dataset"]["concepts"][0]["instance"] = instance
    found = desk.recipes.calculate(sent)
    assert found["problems"] == [] and found["pictures"] == 6
    assert desk.recipes.parse(sent).dataset.concepts[0].instance == str(data / "instance")
