"""OneTrainer's concepts: an imported run shows as many pictures of each, with the same captions, as OneTrainer does.

The expected numbers follow mgds' DiskCache and VariationSorting (an epoch shows ⌊pictures × balancing⌋ of a concept's
pictures, or so many samples), LoadMultipleTexts and SelectRandomText (captions).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.dataset.captions import base_caption
from sdft_ext.dataset.folder import scan
from sdft_ext.importing import Imported, SettingsFileError
from sdft_ext.recipe import Recipe

from .importer import imported, onetrainer, pictures, plan, says, shown


def concept(folder: str, **more: Any) -> dict[str, Any]:
    return {"name": folder, "path": folder, "image": {"enable_crop_jitter": False}, **more}


def prompted(base: Path, folder: str, *lines: str, **more: Any) -> dict[str, Any]:
    """Return a concept whose prompts are the lines of one file next to the folders."""
    (base / f"{folder}.txt").write_text("\n".join(lines), encoding="utf-8")
    return concept(folder, text={"prompt_source": "concept", "prompt_path": f"{folder}.txt"}, **more)


def captions(recipe: Recipe, concept: int, regularization: bool = False) -> set[str]:
    """Return the captions that a run trains with, before anything is drawn."""
    found = scan(recipe.dataset)
    return {
        base_caption(found.concepts[concept], picture.caption, regularization, recipe.dataset)
        for picture in found.pictures
        if (picture.concept, picture.regularization) == (concept, regularization)
    }


def run_shows(found: Imported) -> dict[str, int]:
    """Count what the whole imported run shows of each folder."""
    return shown(found.recipe, plan(found.recipe).total_steps)


BALANCES = [
    (10, 0.2, "REPEATS"),  # a whole number of pictures
    (7, 0.5, "REPEATS"),  # rounded down: 3, not 3.5
    (45, 0.022, "REPEATS"),  # 0.99 pictures and no more: none
    (50, 0.0606, "REPEATS"),  # 3.03
    (3, 0.3334, "REPEATS"),
    (7, 1.5, "REPEATS"),
    (7, 3, "SAMPLES"),
    (4, 11, "SAMPLES"),
]


@pytest.mark.parametrize(("count", "balancing", "strategy"), BALANCES)
def test_a_run_shows_as_many_pictures_of_each_concept(
    tmp_path: Path, count: int, balancing: float, strategy: str
) -> None:
    pictures(tmp_path / "cats", (5, 64, 64))
    pictures(tmp_path / "dogs", (count, 64, 64))
    dogs = concept("dogs", balancing=balancing, balancing_strategy=strategy)
    found = onetrainer(tmp_path, [concept("cats"), dogs], resolution="64", epochs=210)
    there = math.floor(balancing if strategy == "SAMPLES" else count * balancing)
    expected = {"cats": 210 * 5, **({"dogs": 210 * there} if there else {})}
    here = run_shows(found)
    assert here.keys() == expected.keys()
    assert all(here[name] == pytest.approx(wanted, rel=0.02, abs=2) for name, wanted in expected.items()), here
    assert says(found, "concepts.1.balancing", "shows none of the pictures") == (not there)


def test_a_small_share_of_many_pictures_keeps_its_proportion(tmp_path: Path) -> None:
    """As with 5,000 pictures of a class, of which each epoch shows as few as there are instance pictures."""
    pictures(tmp_path / "cats", (4, 64, 64))
    pictures(tmp_path / "things", (331, 64, 64))
    found = onetrainer(
        tmp_path, [concept("cats"), concept("things", balancing=0.0392)], resolution="64", epochs=60, save_every=10,
        save_every_unit="EPOCH",
    )  # fmt: skip
    there = {"cats": 60 * 4, "things": 60 * math.floor(331 * 0.0392)}
    here = run_shows(found)
    assert sum(here.values()) == sum(there.values())
    assert here["cats"] == pytest.approx(there["cats"], rel=0.05)
    assert found.recipe.save.every == 10 * (4 + 12)


def test_a_balance_that_is_not_counted_keeps_its_proportion_and_its_saves(tmp_path: Path) -> None:
    concepts = [concept("cats"), concept("things", balancing=0.0392)]
    found = onetrainer(tmp_path, concepts, epochs=400, save_every=20, save_every_unit="EPOCH")
    first, second = found.recipe.dataset.concepts
    assert second.repeats / first.repeats == pytest.approx(0.0392, rel=0.03)
    assert found.recipe.train.length == round(400 / first.repeats)
    assert (found.recipe.save.every, found.recipe.save.every_unit) == (20, "times")
    assert says(found, "epochs is 400", f"as long as {first.repeats:,} there")


PROMPTS = [
    (["ohwx man"], "ohwx man"),
    (["a photo of my sks cat, indoors"], "a photo of my sks cat, indoors"),
    (["", "  sks   cat ", ""], "sks cat"),
]


@pytest.mark.parametrize(("lines", "caption"), PROMPTS)
@pytest.mark.parametrize("with_texts", [False, True])
def test_one_file_of_prompts_is_the_caption_of_all_pictures(
    tmp_path: Path, lines: list[str], caption: str, with_texts: bool
) -> None:
    pictures(tmp_path / "cats", (2, 64, 64))
    if with_texts:  # OneTrainer doesn't read them then
        (tmp_path / "cats" / "64x64-0.txt").write_text("a caption", encoding="utf-8")
    found = onetrainer(tmp_path, [prompted(tmp_path, "cats", *lines)])
    assert captions(found.recipe, 0) == {caption}


def test_of_several_prompts_each_showing_has_one(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (4, 64, 64))
    recipe = onetrainer(tmp_path, [prompted(tmp_path, "cats", "sks cat", "the sks cat")], resolution="64").recipe
    made = plan(recipe)
    texts = {sample.caption for step in range(16) for sample in made.samples(step, 0)}
    assert texts == {"sks cat", "the sks cat"}


def test_concepts_with_prompts_of_their_own_keep_them(tmp_path: Path) -> None:
    for folder in ("cats", "dogs"):
        pictures(tmp_path / folder, (2, 64, 64))
    concepts = [prompted(tmp_path, "cats", "sks cat"), prompted(tmp_path, "dogs", "a big dog in the rain")]
    found = onetrainer(tmp_path, concepts)
    assert [captions(found.recipe, number) for number in (0, 1)] == [{"sks cat"}, {"a big dog in the rain"}]
    assert (found.recipe.dataset.concepts[0].trigger, found.recipe.dataset.concepts[0].class_word) == ("sks", "cat")
    assert says(found, "concepts.0.text.prompt_path", "Text files next to the pictures are used instead")


def test_a_caption_of_several_lines_is_several_captions(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (1, 64, 64))
    (tmp_path / "cats" / "64x64-0.txt").write_text("first\nsecond\n", encoding="utf-8")
    recipe = onetrainer(tmp_path, [concept("cats")], resolution="64").recipe
    made = plan(recipe)
    assert {sample.caption for step in range(16) for sample in made.samples(step, 0)} == {"first", "second"}


@pytest.mark.parametrize("path", ["gone.txt", "", "secret.json"])
def test_a_missing_file_of_prompts_is_reported(tmp_path: Path, path: str) -> None:
    pictures(tmp_path / "cats", (2, 64, 64))
    (tmp_path / "secret.json").write_text("not a caption", encoding="utf-8")
    found = onetrainer(tmp_path, [concept("cats", text={"prompt_source": "concept", "prompt_path": path})])
    assert says(found, "concepts.0.text.prompt_path", "wasn't found here", "dataset.template"), found.left
    assert captions(found.recipe, 0) == {""}


def test_pictures_of_the_class_become_regularization_pictures(tmp_path: Path) -> None:
    """A concept that holds its class in place, as guides to OneTrainer describe it: balanced to as many pictures."""
    pictures(tmp_path / "man", (4, 64, 64))
    pictures(tmp_path / "men", (50, 64, 64))
    concepts = [
        prompted(tmp_path, "man", "ohwx man", loss_weight=2),
        prompted(tmp_path, "men", "man", balancing=0.08, name="regularization", loss_weight=0.5),
    ]
    found = onetrainer(tmp_path, concepts, resolution="64", epochs=25)
    only = found.recipe.dataset.concepts
    assert len(only) == 1
    assert (only[0].trigger, only[0].class_word) == ("ohwx", "man")
    assert run_shows(found) == {"man": 100, "men": 100}
    assert (found.recipe.train.length, found.recipe.train.length_unit) == (25, "epochs")
    assert captions(found.recipe, 0) == {"ohwx man"}
    assert captions(found.recipe, 0, regularization=True) == {"man"}
    assert (only[0].loss_weight, found.recipe.train.prior_loss_weight) == (2.0, 0.25)
    assert says(found, "concepts.1.path", "regularization pictures", "4 for 4")


def test_a_class_whose_prompt_is_not_found_is_reported(tmp_path: Path) -> None:
    gone = {"prompt_source": "concept", "prompt_path": "/elsewhere/prompt.txt"}
    concepts = [concept("man", text=gone), concept("men", text=gone, name="reg_images", balancing=0.0022)]
    found = onetrainer(tmp_path, concepts, epochs=400, save_every=15, save_every_unit="EPOCH")
    assert [one.regularization for one in found.recipe.dataset.concepts] == ["men"]
    assert (found.recipe.train.length, found.recipe.save.every) == (400, 15)
    assert says(found, "concepts.1.path", "dataset.concepts.0.class_word")


def test_pictures_of_the_class_in_another_number_stay_a_concept(tmp_path: Path) -> None:
    pictures(tmp_path / "man", (4, 64, 64))
    pictures(tmp_path / "men", (20, 64, 64))
    concepts = [prompted(tmp_path, "man", "ohwx man"), prompted(tmp_path, "men", "man")]
    found = onetrainer(tmp_path, concepts, resolution="64", epochs=3)
    assert run_shows(found) == {"man": 12, "men": 60}
    assert [captions(found.recipe, number) for number in (0, 1)] == [{"ohwx man"}, {"man"}]


@pytest.mark.parametrize(("prior", "repeats"), [(6, 1), (3, 1), (20, 1), (2, 3)])
def test_prior_prediction_leaves_the_instance_pictures_their_showings(tmp_path: Path, prior: int, repeats: int) -> None:
    pictures(tmp_path / "cats", (6, 64, 64))
    pictures(tmp_path / "things", (prior, 64, 64))
    concepts = [concept("cats"), concept("things", type="PRIOR_PREDICTION", balancing=repeats)]
    found = onetrainer(tmp_path, concepts, resolution="64", epochs=10)
    assert run_shows(found) == {"cats": 60, "things": 10 * min(6, prior * repeats)}
    assert says(found, "PRIOR_PREDICTION", f"({prior * repeats} for 6 there)")


def test_only_enabled_concepts_are_trained(tmp_path: Path) -> None:
    for folder in ("cats", "dogs", "birds"):
        pictures(tmp_path / folder, (3, 64, 64))
    concepts = [
        concept("dogs", enabled=False, image={"enable_random_hue": True, "random_hue_max_strength": 0.5}),
        concept("cats"),
        concept("birds", validation_concept=True),
    ]
    found = onetrainer(tmp_path, concepts, resolution="64", epochs=4)
    assert run_shows(found) == {"cats": 12}
    assert says(found, "dogs", "switched off")
    assert says(found, "birds", "for validation")
    assert not says(found, "hue")


def test_what_has_no_effect_there_is_not_reported(tmp_path: Path) -> None:
    quiet = {
        "image": {"enable_random_rotate": True, "random_rotate_max_angle": 0.0},
        "text": {"tag_dropout_enable": True, "tag_dropout_probability": 0.0, "keep_tags_count": 3,
                 "caps_randomize_enable": True, "caps_randomize_probability": 0},
        "__version": 2, "seed": 5,
    }  # fmt: skip
    found = onetrainer(
        tmp_path, [concept("cats"), concept("dogs") | quiet], __version=6, align_prop=False, align_prop_weight=0.01,
        prior_weight_dtype="NONE", train_prior_epochs=10000, sample_after=0, sample_after_unit="EPOCH",
    )  # fmt: skip
    for word in ("sample_after", "prior_", "rotate", "dropout", "keep_tags", "caps", "align_prop", "__version"):
        assert not says(found, word), found.left


def test_a_file_of_concepts_is_found_next_to_the_config_too(tmp_path: Path) -> None:
    """A backup of OneTrainer's has both files in one folder, and its config the path where the concepts were."""
    pictures(tmp_path / "cats", (3, 64, 64))
    config = {"training_method": "LORA", "model_type": "STABLE_DIFFUSION_15", "concepts": None, "epochs": 2}
    (tmp_path / "concepts.json").write_text(json.dumps([concept("cats")]), encoding="utf-8")
    for given in ({"concept_file_name": "training_concepts/concepts.json"}, {}):
        found = imported(tmp_path, **{"args.json": {**config, **given}})
        assert run_shows(found) == {"cats": 6}
        assert says(found, "concept_file_name", "concepts.json next to the config")
    wrong = {**config, "concept_file_name": "cats.json"}
    (tmp_path / "cats.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(SettingsFileError, match="holds no concepts"):
        imported(tmp_path, **{"args.json": wrong})


def test_pictures_too_few_for_a_batch_are_said_to_be_so(tmp_path: Path) -> None:
    pictures(tmp_path / "cats", (3, 64, 64))
    found = onetrainer(tmp_path, [concept("cats")], resolution="64", batch_size=4)
    assert says(found, "no bucket has pictures enough for a batch of 4")
    assert not says(found, "weren't found")
