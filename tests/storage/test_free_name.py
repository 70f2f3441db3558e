"""Stems that nobody else has."""

from sdft_ext.storage.free_name import unique_stem


def test_a_free_stem_stays(tmp_path):
    assert unique_stem(tmp_path / "missing", "dog") == "dog"
    (tmp_path / "dog.txt").touch()
    (tmp_path / "dogs.safetensors").touch()
    assert unique_stem(tmp_path, "dog") == "dog"


def test_stems_count_in_every_folder_kind_case_and_step(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "DOG.pt").touch()
    assert unique_stem(tmp_path, "dog") == "dog-2"
    (tmp_path / "dog-2-000010.safetensors").touch()
    (tmp_path / "Dog-3.ckpt").touch()
    assert unique_stem(tmp_path, "dog") == "dog-4"
    assert unique_stem(tmp_path, "dog-2-000010") == "dog-2-000010-2"
