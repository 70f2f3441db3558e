"""Saves are deleted into their run's trash and restored: files, index and host follow, and nothing is lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from sdft_ext.desk.deleted_saves import delete_save, deleted_saves, restore_save
from sdft_ext.desk.errors import NotAllowed, NotFound, NotNow
from sdft_ext.run_folder.lock import RunLocked, run_lock
from sdft_ext.run_folder.saves import Save, read_index


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
    (folder / "saves" / "index.json").write_text(json.dumps([asdict(save) for save in saves]))
    return folder


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


def test_nothing_changes_where_a_file_cannot_be_moved(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, index, move = files(tmp_path), read_index(run), shutil.move

    def fails(source: str, target: str) -> object:
        if source.endswith("cat-sks.safetensors"):
            Path(target).write_text("half")
            raise PermissionError(13, "Permission denied")
        return move(source, target)

    monkeypatch.setattr(shutil, "move", fails)
    with pytest.raises(NotAllowed, match="Permission denied"):
        delete_save(run, 20)
    assert (files(tmp_path), read_index(run), deleted_saves(run)) == (before, index, [])
    assert list((run / "trash").iterdir()) == []


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
