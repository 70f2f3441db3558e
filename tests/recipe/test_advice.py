"""Settings that are allowed, but unlikely to be meant, get a sentence before the run; usual ones get none."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.advice import advice, length_advice, resolution_advice
from sdft_ext.recipe.method_info import METHOD_INFO
from sdft_ext.recipe.presets import start

CONCEPT = ["dataset.concepts.0.instance=pictures", "dataset.concepts.0.trigger=sks"]


def said(
    *settings: str,
    steps: int = 1000,
    epoch: int = 100,
    saves: int | None = None,
    native: int = 512,
    full_size: bool = False,
) -> list[str]:
    """Return all advice on a recipe with these settings."""
    recipe = recipe_file.override(Recipe(), [*CONCEPT, *settings])
    length = length_advice(recipe, steps, epoch, saves)
    return list(dict.fromkeys([*advice(recipe), *length, *resolution_advice(recipe, native, full_size)]))


@pytest.mark.parametrize(
    ("settings", "figures", "word"),
    [
        (["train.schedule=constant", "train.warmup=10"], {}, "constant_with_warmup"),
        (["train.schedule=steps", "train.schedule_steps=1e-4", "train.warmup=10"], {}, "train.warmup"),
        (["train.warmup=1000"], {}, "never reaches"),
        (["train.warmup=600"], {}, "600 of 1,000 steps"),
        (["save.first_epoch=11"], {}, "has 10 epochs"),
        (["save.every=0"], {}, "only one save"),
        (["save.every=10", "save.every_unit=epochs"], {}, "only one save"),
        (["save.every=1", "save.every_unit=times"], {}, "only one save"),
        (["save.every=1000", "save.every_unit=steps"], {}, "only one save"),
        (["dataset.concepts.0.trigger="], {}, "trigger is empty"),
        (["dataset.resolution=512"], {"native": 1024}, "made for 1024"),
        (["dataset.resolution=1024"], {"native": 512}, "made for 512"),
        (["dataset.resolution=512"], {"native": 768}, "made for 768"),
        (["model.base=/models/old.CKPT"], {}, "The base model, old.CKPT, is a .ckpt file"),
        (["train.learning_rate=2e-3"], {}, "more than 10 times"),
        (["method.name=hypernetwork", "train.learning_rate=1e-3"], {}, "more than 10 times"),
        (["method.name=full", "train.learning_rate=1e-4"], {}, "2e-6 is usual"),
        (["method.text_encoder=true", "train.text_encoder_learning_rate=2e-2"], {}, "train.text_encoder_learning_rate"),
        (
            ["method.name=pivotal", "method.embedding.learning_rate=0.5"],
            {},
            "method.embedding.learning_rate is 0.5, more than 10 times",
        ),
        (["train.optimizer=lion", "train.learning_rate=1e-3"], {}, "more than 10 times"),
        (["train.optimizer=prodigy", "train.learning_rate=100"], {}, "1 is usual"),
        (["train.optimizer=dadaptadam", "train.learning_rate=1000"], {}, "1 is usual"),
        (["dataset.concepts.0.trigger=  "], {}, "trigger is empty"),
        (["dataset.concepts.0.trigger=Dog ", "dataset.concepts.0.class_word=dog"], {}, "the class word 'dog' itself"),
        (["dataset.resolution=500"], {}, "at most 496"),
        (["dataset.resolution=128"], {"full_size": True}, "made for 512"),
        (["save.first_epoch=10"], {"saves": 1}, "only one save"),
    ],
)
def test_unlikely_settings_get_one_sentence_of_advice(settings: list[str], figures: dict[str, Any], word: str) -> None:
    (sentence,) = said(*settings, **figures)
    assert word in sentence


@pytest.mark.parametrize(
    ("settings", "figures"),
    [
        ([], {}),
        (["train.schedule=constant_with_warmup", "train.warmup=50"], {}),
        (["train.warmup=500"], {}),
        (["save.first_epoch=10"], {}),
        (["save.every=9", "save.every_unit=epochs"], {}),
        (["dataset.resolution=768"], {"native": 512}),
        (["dataset.resolution=768"], {"native": 1024}),
        (["dataset.resolution=64", "train.learning_rate=1e-2"], {"native": 512}),
        (["train.learning_rate=1e-3"], {}),
        (["train.optimizer=prodigy", "train.learning_rate=1"], {}),
        (["train.optimizer=dadaptadam", "train.learning_rate=2"], {}),
        (["train.optimizer=lion", "train.learning_rate=3e-5"], {}),
        (["method.text_encoder=false", "train.text_encoder_learning_rate=1"], {}),
        (["dataset.concepts.0.trigger=", "method.name=textual_inversion", "method.embedding.words={sks: dog}"], {}),
        (["dataset.concepts.0.trigger=sks dog", "dataset.concepts.0.class_word=dog"], {}),
        (["save.first_epoch=9"], {"saves": 2}),
    ],
)
def test_usual_settings_get_no_advice(settings: list[str], figures: dict[str, Any]) -> None:
    assert said(*settings, **figures) == []


def test_two_concepts_with_one_trigger() -> None:
    recipe = recipe_file.override(Recipe(), CONCEPT)
    second = dataclasses.replace(recipe.dataset.concepts[0], instance="others", trigger="SKS ")
    recipe.dataset.concepts.append(second)
    (sentence,) = advice(recipe)
    assert "dataset.concepts.1.trigger" in sentence and "mixed" in sentence


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("method", METHOD_INFO)
def test_every_preset_passes_without_advice(method: str, family: str) -> None:
    size = {"sd1": 512, "sd2": 768, "sdxl": 1024}[family]
    recipe = recipe_file.override(Recipe(), CONCEPT)
    for path, value in start(method, "subject", family, size, "fp16").items():
        recipe_file.put(recipe, path, value)
    steps = recipe.train.length
    assert advice(recipe) + length_advice(recipe, steps, 15) + resolution_advice(recipe, size) == []


def test_a_warm_up_longer_than_the_recipes_own_steps_is_known_without_its_pictures() -> None:
    for length, unit, found in (("1000", "steps", True), ("3000", "steps", False), ("1000", "epochs", False)):
        settings = [*CONCEPT, "train.warmup=1000", f"train.length={length}", f"train.length_unit={unit}"]
        sentences = advice(recipe_file.override(Recipe(), settings))
        assert any("never reaches" in sentence for sentence in sentences) == found
