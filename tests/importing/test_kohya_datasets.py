"""kohya's datasets: an imported recipe shows the same pictures as often, in as many steps.

The expected numbers follow sd-scripts: each bucket ends with a smaller batch, and regularization pictures are repeated
until there are as many as instance pictures (library/train_util.py, ``DreamBoothDataset``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdft_ext.importing.epochs import KohyaBuckets, Showing, balanced, kohya_batches, kohya_bucket
from sdft_ext.importing.files import FoundPicture
from sdft_ext.recipe import Recipe

from .importer import gui, imported, kohya, pictures, plan, says, shown, toml

LORA = {"pretrained_model_name_or_path": "m.safetensors", "network_module": "networks.lora"}


def dataset(text: str) -> bytes:
    return f"[general]\ncaption_extension = '.txt'\n[[datasets]]\n{text}".encode()


def subset(folder: str, **settings: Any) -> str:
    return f"[[datasets.subsets]]\nimage_dir = '{folder}'\n{toml(settings).decode()}"


def steps(recipe: Recipe) -> int:
    return plan(recipe).total_steps


def test_repeats_batches_and_epochs_give_as_many_steps_and_showings(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (10, 64, 64))
    config = dataset("resolution = 64\nbatch_size = 2\n" + subset("cats", num_repeats=3, class_tokens="sks cat"))
    recipe = imported(tmp_path, **{"d.toml": config, "s.toml": toml({**LORA, "max_train_epochs": 4})}).recipe
    assert steps(recipe) == 4 * 15
    assert shown(recipe, 60) == {"cats": 10 * 3 * 4}
    concept = recipe.dataset.concepts[0]
    assert (concept.trigger, concept.class_word, concept.instance) == ("sks", "cat", str(tmp_path / "cats"))


def test_smaller_batches_at_the_end_of_buckets_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (5, 128, 128), (3, 64, 128))
    buckets = "enable_bucket = true\nmin_bucket_reso = 64\nmax_bucket_reso = 256\n"
    config = dataset(f"resolution = 128\nbatch_size = 4\n{buckets}" + subset("cats"))
    settings = {**LORA, "max_train_epochs": 3, "gradient_accumulation_steps": 2, "save_every_n_epochs": 1}
    found = imported(tmp_path, **{"d.toml": config, "s.toml": toml(settings)})
    # Batches of 4 + 1 and of 3: three, in two steps an epoch. Here, 8 pictures would be one step.
    assert steps(found.recipe) == 6
    assert (found.recipe.save.every, found.recipe.save.every_unit) == (2, "steps")
    assert says(found, "max_train_epochs is 3", "6 steps", "smaller batch", "train.length")


def test_few_regularization_pictures_are_repeated_to_the_balance(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (4, 64, 64))
    pictures(tmp_path / "class", (3, 64, 64))
    config = dataset(
        "resolution = 64\nbatch_size = 4\n"
        + subset("cats", num_repeats=5, class_tokens="sks cat")
        + subset("class", is_reg=True, class_tokens="cat")
    )
    recipe = imported(tmp_path, **{"d.toml": config, "s.toml": toml({**LORA, "max_train_epochs": 2})}).recipe
    assert steps(recipe) == 2 * (20 + 20) // 4
    assert shown(recipe, 20) == {"cats": 40, "class": 40}
    assert recipe.dataset.concepts[0].class_word == "cat"


def test_many_regularization_pictures_are_shown_as_often_as_the_others(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (4, 64, 64))
    pictures(tmp_path / "class", (30, 64, 64))
    config = dataset("resolution = 64\n" + subset("cats", num_repeats=2) + subset("class", is_reg=True))
    recipe = imported(tmp_path, **{"d.toml": config, "s.toml": toml({**LORA, "max_train_epochs": 5})}).recipe
    assert steps(recipe) == 5 * 16 and shown(recipe, 80) == {"cats": 40, "class": 40}


def folders(root: Path) -> None:
    pictures(root / "train" / "3_sks cat", (4, 64, 64))
    pictures(root / "train" / "2_zwx dog", (6, 64, 64))
    pictures(root / "reg" / "1_animal", (5, 64, 64))
    (root / "train" / "notes").mkdir()


@pytest.mark.parametrize("program", [kohya, gui])
def test_repeats_in_folder_names_count_once(tmp_path: Path, program: Any) -> None:
    folders(tmp_path)
    length = {"max_train_epochs": 2} if program is kohya else {"epoch": 2, "max_train_steps": 0}
    size = {"resolution": 64} if program is kohya else {"max_resolution": "64,64"}
    found = program(tmp_path, train_data_dir="train", reg_data_dir="reg", train_batch_size=4, **size, **length)
    first, second = found.recipe.dataset.concepts
    assert [(one.trigger, one.class_word, one.repeats) for one in (first, second)] == [
        ("zwx", "dog", 1),
        ("sks", "cat", 1),
    ]
    assert steps(found.recipe) == 2 * (12 + 12 + 24) // 4
    assert shown(found.recipe, 24) == {"3_sks cat": 24, "2_zwx dog": 24, "1_animal": 48}
    assert says(found, '"notes" was left out')


def test_kohya_ss_counts_steps_by_its_own_formula(tmp_path: Path) -> None:
    pictures(tmp_path / "train" / "3_sks cat", (5, 64, 64))
    found = gui(tmp_path, train_data_dir="train", max_resolution="64,64", train_batch_size=4, epoch=3, lr_warmup=50)
    assert steps(found.recipe) == 12  # 15 ÷ 4 × 3, rounded up


def test_a_folder_s_own_repeats_are_divided_out_or_reported(tmp_path: Path) -> None:
    pictures(tmp_path / "10_sks cat", (2, 64, 64))
    settings = toml({**LORA, "max_train_epochs": 1})
    for repeats, times, showings in ((20, 2, 40), (10, 1, 20), (3, 1, 20)):
        config = dataset("resolution = 64\n" + subset("10_sks cat", num_repeats=repeats))
        found = imported(tmp_path, **{"d.toml": config, "s.toml": settings})
        assert found.recipe.dataset.concepts[0].repeats == times
        assert sum(shown(found.recipe, showings).values()) == showings == plan(found.recipe).showings_per_epoch
        assert says(found, "means 10 repeats here", "Rename the folder") == (repeats == 3)


def test_values_come_from_the_subset_else_its_dataset_else_general_else_the_settings(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (2, 64, 64))
    config = (
        b"[general]\nkeep_tokens = 1\nflip_aug = true\n[[datasets]]\nkeep_tokens = 2\nbatch_size = 3\n"
        b"[[datasets.subsets]]\nimage_dir = 'cats'\nkeep_tokens = 3\n"
    )
    settings = toml({**LORA, "shuffle_caption": True, "train_batch_size": 8, "resolution": 64, "keep_tokens": 9})
    found = imported(tmp_path, **{"d.toml": config, "s.toml": settings})
    read = found.recipe.dataset
    assert (read.keep_tags, read.flip, read.shuffle_tags, read.resolution) == (3, 0.5, True, 64)
    assert found.recipe.train.batch_size == 3
    assert not says(found, "keep_tokens") and not says(found, "train_batch_size")


def test_a_dataset_file_is_read_where_the_settings_name_it(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (2, 64, 64))
    (tmp_path / "set.toml").write_bytes(dataset("resolution = 64\n" + subset("cats")))
    found = kohya(tmp_path, dataset_config="set.toml", max_train_epochs=2)
    assert found.recipe.dataset.concepts[0].instance == str(tmp_path / "cats") and steps(found.recipe) == 4
    assert says(kohya(tmp_path, dataset_config="gone.toml"), "dataset_config", "Import it together")


def test_a_settings_file_may_hold_its_datasets_and_prompts(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (2, 64, 64))
    settings = toml({**LORA, "max_train_steps": 9, "sample_prompts": ["a cat", "a dog"]})
    found = imported(tmp_path, **{"s.toml": settings + dataset("resolution = 64\n" + subset("cats"))})
    assert found.recipe.dataset.concepts[0].instance == str(tmp_path / "cats") and steps(found.recipe) == 9
    assert found.recipe.watch.concept_prompts == ["a cat", "a dog"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (subset("cats") + subset("dogs", flip_aug=True), ("flip_aug is true", "one value holds for all")),
        (subset("cats", caption_extension=".cap"), ('caption_extension is ".cap"', "Rename the files")),
        (subset("cats", metadata_file="meta.json"), ("metadata_file", "captions import")),
        (subset("gone"), ('image_dir is "gone"', "wasn't found here")),
        (subset("cats", num_repeats=0), ("num_repeats", "left out")),
        (subset("cats") + "[[datasets]]\nresolution = 128\n" + subset("dogs"), ("datasets.1", "128×128", "one size")),
        ("resolution = 'large'\n" + subset("cats"), ('resolution is "large"', "512 was used")),
        (subset("above"), ("folders inside it are trained here", "Move those folders")),
    ],
)
def test_what_one_recipe_cannot_hold_is_reported(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    for name in ("cats", "dogs", "above/inside"):
        pictures(tmp_path / name, (2, 64, 64))
    pictures(tmp_path / "above", (1, 64, 64))
    found = imported(tmp_path, **{"d.toml": dataset(text)})
    assert says(found, *parts), found.left


def square(count: int, repeats: int = 1) -> list[Showing]:
    return [Showing(FoundPicture(64, 64, False), repeats) for _ in range(count)]


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (square(4, 5), square(3), [7, 7, 6]),
        (square(4), square(9), [1, 1, 1, 1]),
        (square(5), square(2, 3), [3, 3]),
        (square(5), [], []),
    ],
)
def test_regularization_pictures_are_balanced_as_in_kohya(own: Any, others: Any, expected: list[int]) -> None:
    assert [one.repeats for one in balanced(own, others)] == expected


@pytest.mark.parametrize(
    ("size", "no_upscale", "bucket"),
    [
        ((512, 512), False, (512, 512)),
        ((1000, 500), False, (704, 320)),
        ((500, 1000), False, (320, 704)),
        ((300, 300), True, (256, 256)),
        ((2000, 1000), True, (640, 320)),
    ],
)
def test_buckets_are_those_of_kohya(size: tuple[int, int], no_upscale: bool, bucket: tuple[int, int]) -> None:
    """The expected buckets are those that sd-scripts' BucketManager chose for these sizes."""
    found = kohya_bucket(*size, KohyaBuckets(True, 512, 512, 256, 1024, 64, no_upscale))
    assert found == bucket
    assert kohya_batches(square(5), KohyaBuckets(False, 64, 64, 64, 64, 64, False), 2) == 3
