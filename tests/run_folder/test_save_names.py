"""What the saves of a run are called in a folder that others use too."""

from sdft_ext.run_folder.save_names import free_save_name


def test_a_free_name_stays(tmp_path):
    assert free_save_name("dog", tmp_path / "missing") == "dog"
    (tmp_path / "dogs.safetensors").touch()
    assert free_save_name("dog", tmp_path) == "dog"


def test_names_count_in_every_folder_kind_case_and_step(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "DOG.pt").touch()
    assert free_save_name("dog", tmp_path) == "dog-2"
    (tmp_path / "dog-2-000010.safetensors").touch()
    (tmp_path / "Dog-3.ckpt").touch()
    assert free_save_name("dog", tmp_path) == "dog-4"
    assert free_save_name("dog-2-000010", tmp_path) == "dog-2-000010-2"
