"""Settings that are allowed, but unlikely to be meant, get a sentence before the run; usual ones get none."""

from __future__ import annotations

import pytest

from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.advice import advice, length_advice, resolution_advice
from sdft_ext.recipe.method_info import METHOD_INFO
from sdft_ext.recipe.presets import start

CONCEPT = ["dataset.concepts.0.instance=pictures", "dataset.concepts.0.trigger=sks"]


def said(*settings: str, steps: int = 1000, epoch: int = 100, native: int = 512) -> list[str]:
    """Return all advice on a recipe with these settings."""
    recipe = recipe_file.override(Recipe(), [*CONCEPT, *settings])
    return [*advice(recipe), *length_advice(recipe, steps, epoch), *resolution_advice(recipe, native)]


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
        (["save.every=1000", "save.every_unit=steps"], {}, "only one save"),
        (["dataset.concepts.0.trigger="], {}, "no trigger"),
        (["dataset.resolution=512"], {"native": 1024}, "made for 1024"),
        (["dataset.resolution=1024"], {"native": 512}, "made for 512"),
        (["dataset.resolution=512"], {"native": 768}, "made for 768"),
        (["train.learning_rate=2e-3"], {}, "more than 10 times"),
        (["method.name=hypernetwork", "train.learning_rate=1e-3"], {}, "more than 10 times"),
        (["method.name=full", "train.learning_rate=1e-4"], {}, "2e-6 is usual"),
    ],
)
def test_unlikely_settings_get_one_sentence_of_advice(settings: list[str], figures: dict[str, int], word: str) -> None:
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
    ],
)
def test_usual_settings_get_no_advice(settings: list[str], figures: dict[str, int]) -> None:
    assert said(*settings, **figures) == []


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("method", METHOD_INFO)
def test_every_preset_passes_without_advice(method: str, family: str) -> None:
    size = {"sd1": 512, "sd2": 768, "sdxl": 1024}[family]
    recipe = recipe_file.override(Recipe(), CONCEPT)
    for path, value in start(method, "subject", family, size, "fp16").items():
        recipe_file.put(recipe, path, value)
    steps = recipe.train.length
    assert advice(recipe) + length_advice(recipe, steps, 15) + resolution_advice(recipe, size) == []
