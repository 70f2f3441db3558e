"""Names and folders that are not taken yet."""

import pytest

from sdft_ext.storage.free_name import free_name, new_folder


def test_a_free_name_is_unchanged_and_a_taken_one_is_numbered_from_two():
    assert free_name("dog", set().__contains__) == "dog"
    assert free_name("dog", {"dog"}.__contains__) == "dog-2"
    assert free_name("dog", {"dog", "dog-2", "dog-4"}.__contains__) == "dog-3"
    assert free_name("dog-2", {"dog-2"}.__contains__) == "dog-2-2"


def test_a_new_folder_has_a_name_that_is_neither_taken_nor_reserved(tmp_path):
    made = [new_folder(tmp_path / "runs", "dog") for _ in range(3)]
    assert [path.name for path in made] == ["dog", "dog-2", "dog-3"]
    assert all(path.is_dir() for path in made)
    (tmp_path / "runs" / "cat").write_text("a file")
    assert new_folder(tmp_path / "runs", "cat").name == "cat-2"
    assert new_folder(tmp_path / "runs", "trash", reserved={"trash", "trash-2"}.__contains__).name == "trash-3"
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        new_folder(tmp_path / "file", "dog")
