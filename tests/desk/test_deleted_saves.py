"""Saves are deleted into their run's trash and restored: files, index and host follow, and nothing is lost."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from sdft_ext.desk.deleted_saves import delete_save, deleted_saves, restore_save
from sdft_ext.desk.errors import NotAllowed, NotFound, NotNow
from sdft_ext.run_folder.lock import RunLocked, run_lock
from sdft_ext.run_folder.repair import repair
from sdft_ext.run_folder.saves import Save, read_index
from sdft_ext.storage import json_file
from tests.storage.failing_disk import FailingDisk


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with two saves in a host's folder; the second has an extra file and a preview."""
    folder, loras, words = tmp_path / "run", tmp_path / "Lora", tmp_path / "embeddings"
    saves = [
        Save(str(loras / "cat-000010.safetensors"), 10, 1, 0.5),
        Save(str(loras / "cat.safetensors"), 20, 2, 0.4, [str(words / "cat-sks.safetensors")], False),
    ]
    for path in (*(save.file for save in saves), *saves[1].further, str(loras / "cat.preview.png")):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)
    (folder / "saves").mkdir(parents=True)
    log_and_index(folder, saves)
    return folder


def log_and_index(run: Path, saves: list[Save]) -> None:
    """Write what a run writes of its saves."""
    json_file.write(run / "saves" / "index.json", [asdict(save) for save in saves])
    events = [{**asdict(save), "event": "save", "file": Path(save.file).name, "listed": save.file} for save in saves]
    (run / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A run with two saves in its own folder."""
    folder = tmp_path / "runs" / "own"
    (folder / "saves").mkdir(parents=True)
    saves = [Save("dog-000010.safetensors", 10, 1, 0.5), Save("dog.safetensors", 20, 2, 0.4, ["dog-sks.safetensors"])]
    for name in ("dog-000010.safetensors", "dog.safetensors", "dog-sks.safetensors", "dog.preview.png"):
        (folder / "saves" / name).write_text(name)
    log_and_index(folder, saves)
    return folder


def everything(root: Path) -> dict[str, str]:
    """Return the text of every file, by its path, but not the run's lock."""
    found = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): path.read_text() for path in found}


def files(root: Path) -> dict[str, str]:
    """Return the text of every file outside the run's folder, by its path."""
    return {str(path): path.read_text() for path in root.rglob("*") if path.is_file() and "run" not in path.parts}


def test_a_save_goes_to_the_trash_with_all_its_files_and_comes_back(run: Path, tmp_path: Path) -> None:
    before, index = files(tmp_path), read_index(run)
    gone = delete_save(run, 20)
    assert [path.name for path in gone] == ["cat.safetensors", "cat.preview.png", "cat-sks.safetensors"]
    assert [Path(path).name for path in files(tmp_path)] == ["cat-000010.safetensors"]
    assert read_index(run) == index[:1]
    assert deleted_saves(run) == [{"id": "cat", "name": "cat", "step": 20}]
    assert restore_save(run, "cat") == gone
    assert (files(tmp_path), read_index(run), deleted_saves(run)) == (before, index, [])
    assert list((run / "trash").iterdir()) == []


def test_two_saves_of_one_name_are_both_in_the_trash(run: Path, tmp_path: Path) -> None:
    delete_save(run, 20)
    (tmp_path / "Lora" / "cat.safetensors").write_text("trained anew")
    (run / "saves" / "index.json").write_text(
        json.dumps([asdict(Save(str(tmp_path / "Lora" / "cat.safetensors"), 30, 3, 0.3))])
    )
    with pytest.raises(NotNow, match=r"there is cat\.safetensors again"):
        restore_save(run, "cat")
    assert (tmp_path / "Lora" / "cat.safetensors").read_text() == "trained anew"
    delete_save(run, 30)
    assert [(one["id"], one["step"]) for one in deleted_saves(run)] == [("cat", 20), ("cat-2", 30)]
    restore_save(run, "cat")
    assert [save.step for save in read_index(run)] == [20]


def test_a_save_of_the_same_step_is_in_the_way(run: Path, tmp_path: Path) -> None:
    delete_save(run, 20)
    (tmp_path / "Lora" / "other.safetensors").write_text("")
    (run / "saves" / "index.json").write_text(
        json.dumps([asdict(Save(str(tmp_path / "Lora" / "other.safetensors"), 20, 3, 0.3))])
    )
    with pytest.raises(NotNow, match="there is a save of step 20 again"):
        restore_save(run, "cat")


@pytest.mark.parametrize("other_disk", [False, True])
def test_nothing_changes_where_a_file_cannot_be_moved(
    other_disk: bool, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, index, rename = files(tmp_path), read_index(run), os.rename

    def fails(source: Path, target: Path) -> None:
        if source.name == "cat-sks.safetensors":
            raise OSError(errno.EXDEV, "Invalid cross-device link") if other_disk else PermissionError(13, "Denied")
        rename(source, target)

    def copies_half(source: Path, target: Path) -> None:
        target.write_text("half")
        raise PermissionError(13, "Denied")

    monkeypatch.setattr(os, "rename", fails)
    monkeypatch.setattr(shutil, "copy2", copies_half)
    with pytest.raises(NotAllowed, match="Denied"):
        delete_save(run, 20)
    assert (files(tmp_path), read_index(run), deleted_saves(run)) == (before, index, [])
    assert list((run / "trash").iterdir()) == []


class Kill(BaseException):
    """The program is killed."""


class KillingDisk(FailingDisk):
    """Within ``with``, the program is killed at the ``moment``-th touch of a file below ``root``, if the disk lets."""

    def touch(self, call: str, path: object) -> None:
        if self.fails(call, path):
            raise Kill


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="follows open files by their handles")
@pytest.mark.parametrize("other_disk", [False, True])
@pytest.mark.parametrize(("kind", "lasting"), [(FailingDisk, False), (FailingDisk, True), (KillingDisk, True)])
@pytest.mark.parametrize("does", ["delete", "restore"])
def test_what_was_interrupted_can_be_completed(
    does: str,
    kind: type[FailingDisk],
    lasting: bool,
    other_disk: bool,
    own: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if other_disk:
        monkeypatch.setattr(os, "rename", crosses_disks)
    whole = everything(own)
    for moment in itertools.count(1):
        run = Path(shutil.copytree(own, tmp_path / "runs" / str(moment)))
        if does == "restore":
            delete_save(run, 20)
        interrupted = False
        with kind(run, moment, errno.ENOSPC, lasting=lasting) as disk:
            try:
                delete_save(run, 20) if does == "delete" else restore_save(run, "dog")
            except (NotAllowed, OSError, Kill):
                interrupted = True
        if not disk.hit:
            break
        texts = {name for name in everything(run).values() if name.startswith("dog")}
        assert texts == {"dog-000010.safetensors", "dog.safetensors", "dog-sks.safetensors", "dog.preview.png"}
        again = Path(shutil.copytree(run, tmp_path / "again" / str(moment)))
        for one in deleted_saves(run):  # the user restores what the page lists,
            restore_save(run, one["id"])
        assert left(run) == left(own) and deleted_saves(run) == [], (disk.hit, interrupted)
        delete_save(run, 20)  # and deletes it
        restore_save(run, deleted_saves(run)[0]["id"])
        assert everything(run) == whole, disk.hit
        if (again / "saves" / "dog.safetensors").exists():  # or deletes once more what is still there
            for one in deleted_saves(again):
                restore_save(again, one["id"])
            delete_save(again, 20)
        assert [(one["name"], one["step"]) for one in deleted_saves(again)] == [("dog", 20)], disk.hit
    assert moment > 4


def crosses_disks(source: Path, target: Path) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def left(run: Path) -> tuple[dict[str, str], list[Save]]:
    """Return the files of the saves that the index names, and the index."""
    index = read_index(run)
    found = {name: text for name, text in everything(run / "saves").items() if not name.startswith(("index", "."))}
    return found, index


def test_a_copy_that_was_cut_off_is_no_deleted_save(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(source: Path, target: Path) -> None:
        target.write_text("half")
        raise Kill

    monkeypatch.setattr(os, "rename", crosses_disks)
    monkeypatch.setattr(shutil, "copy2", cut)
    with pytest.raises(Kill):
        delete_save(own, 20)
    assert deleted_saves(own) == [] and (own / "saves" / "dog.safetensors").read_text() == "dog.safetensors"


def test_an_index_made_anew_from_the_log_leaves_deleted_saves_out(own: Path) -> None:
    index = read_index(own)
    delete_save(own, 20)
    (own / "saves" / "index.json").write_text("[")
    repair(own)
    assert [save.step for save in read_index(own)] == [10]
    restore_save(own, "dog")
    assert [(save.file, save.step) for save in read_index(own)] == [(save.file, save.step) for save in index]


def test_a_save_is_restored_where_an_index_lists_it_without_its_file(own: Path) -> None:
    """As versions before have rebuilt it."""
    index = (own / "saves" / "index.json").read_text()
    delete_save(own, 20)
    (own / "saves" / "index.json").write_text(index.replace("0.4", "0.3"))
    restore_save(own, "dog")
    assert [save.loss for save in read_index(own)] == [0.5, 0.4]


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_run_that_was_moved_or_copied_restores_into_its_own_folder(how: str, own: Path, tmp_path: Path) -> None:
    whole = everything(own)
    delete_save(own, 20)
    after = everything(own)
    other = tmp_path / "elsewhere" / "own"
    if how == "moved":
        other.parent.mkdir()
        own.rename(other)
    else:
        shutil.copytree(own, other)
    restore_save(other, "dog")
    assert everything(other) == whole
    assert how == "moved" or everything(own) == after


def test_a_record_made_by_hand_moves_no_file_to_another_folder(own: Path, tmp_path: Path) -> None:
    delete_save(own, 20)
    record = own / "trash" / "dog" / "save.json"
    sound = json.loads(record.read_text())
    before = everything(tmp_path)
    outside = str(tmp_path / "elsewhere.safetensors")
    record.write_text(json.dumps({**sound, "files": {**sound["files"], "0-dog.safetensors": outside}}))
    with pytest.raises(NotFound):
        restore_save(own, "dog")
    for name in (outside, "../dog.safetensors", "deep/dog.safetensors"):
        files = {"0-dog.safetensors": name}
        record.write_text(json.dumps({"save": {**sound["save"], "file": name}, "files": files}))
        with pytest.raises(NotAllowed, match="by hand"):
            restore_save(own, "dog")
    record.write_text(
        json.dumps({"save": {**sound["save"], "further": [outside]}, "files": {"0-dog.safetensors": outside}})
    )
    with pytest.raises((NotFound, NotAllowed)):
        restore_save(own, "dog")
    record.write_text(json.dumps(sound, indent=1, ensure_ascii=False) + "\n")
    assert everything(tmp_path) == before


def test_a_host_folder_that_only_the_log_names_is_one_of_the_runs(run: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    delete_save(run, 10)
    delete_save(run, 20)
    assert read_index(run) == [] and not files(tmp_path)
    for one in deleted_saves(run):
        restore_save(run, one["id"])
    assert files(tmp_path) == before


def test_what_is_not_there_is_refused_and_so_is_a_run_that_trains(run: Path) -> None:
    with pytest.raises(NotFound, match="no save of step 11"):
        delete_save(run, 11)
    with pytest.raises(NotFound, match="no deleted save"):
        restore_save(run, "../saves")
    with run_lock(run), pytest.raises(RunLocked):
        delete_save(run, 20)


def test_a_record_that_is_damaged_is_left_alone(run: Path) -> None:
    delete_save(run, 20)
    record = run / "trash" / "cat" / "save.json"
    found = json.loads(record.read_text())
    for damaged in ({"save": found["save"], "files": {"../x": "y"}}, {"save": {"file": 1}, "files": {}}):
        record.write_text(json.dumps(damaged))
        assert deleted_saves(run) == []
        with pytest.raises(NotFound):
            restore_save(run, "cat")
    assert (run / "trash" / "cat" / "0-cat.safetensors").is_file()
