"""Names and folders that nobody else has."""

import pytest

from sdft_ext.storage.free_name import free_name, new_folder


def test_a_free_name_stays_and_others_are_numbered_from_two():
    assert free_name("dog", set().__contains__) == "dog"
    assert free_name("dog", {"dog"}.__contains__) == "dog-2"
    assert free_name("dog", {"dog", "dog-2", "dog-4"}.__contains__) == "dog-3"
    assert free_name("dog-2", {"dog-2"}.__contains__) == "dog-2-2"


def test_a_new_folder_is_empty_and_never_one_that_is_there_or_reserved(tmp_path):
    made = [new_folder(tmp_path / "runs", "dog") for _ in range(3)]
    assert [path.name for path in made] == ["dog", "dog-2", "dog-3"]
    assert all(path.is_dir() for path in made)
    (tmp_path / "runs" / "cat").write_text("a file")
    assert new_folder(tmp_path / "runs", "cat").name == "cat-2"
    assert new_folder(tmp_path / "runs", "trash", reserved={"trash", "trash-2"}.__contains__).name == "trash-3"
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        new_folder(tmp_path / "file", "dog")
