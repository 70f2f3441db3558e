import errno
import os

import pytest

from sdft_ext.storage import atomic


def test_a_file_is_written_whole_and_leaves_no_temporary_file(tmp_path):
    atomic.text(tmp_path / "a" / "x.txt", "héllo 🐈")
    assert (tmp_path / "a" / "x.txt").read_text(encoding="utf-8") == "héllo 🐈"
    assert os.listdir(tmp_path / "a") == ["x.txt"]


def test_a_failed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def writer(file):
        file.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"can't write .*x\.txt: No space left on device; free space"):
        atomic.write(path, writer)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="choose another folder"):
        atomic.text(tmp_path / "file" / "x.txt", "text")


def test_only_temporary_files_of_a_killed_write_are_removed(tmp_path):
    others = [".hidden", ".cat-12345678.txt", "cat-12345678.tmp.txt", ".cat-123.tmp.txt"]
    for name in others:
        (tmp_path / name).write_text("")
    (tmp_path / ".cat-abcdefg_.tmp.safetensors").write_text("half")
    (tmp_path / ".cats-abcdefg_.tmp.safetensors").write_text("half")
    atomic.clear(tmp_path, "cat")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, ".cats-abcdefg_.tmp.safetensors"])
    atomic.clear(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(others)
    atomic.clear(tmp_path / "missing")
