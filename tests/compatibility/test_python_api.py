"""``sdft_ext.run`` and ``sdft_ext.recipe`` are the Python API: their names stay, and importing them is cheap."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import subprocess
import sys

import pytest

from sdft_ext import run
from sdft_ext.recipe import Recipe, RecipeError

NAMES = {
    "sdft_ext.run": ("RunResult", "resume", "train"),
    "sdft_ext.recipe": (
        "ADAPTERS", "FULL", "LORA_FAMILY", "VERSION", "Concept", "DatasetRecipe", "EmbeddingRecipe", "FullRecipe",
        "HypernetworkRecipe", "Kind", "LoraRecipe", "MethodName", "MethodRecipe", "ModelRecipe", "Precision", "Recipe",
        "RecipeError", "SaveRecipe", "TrainRecipe", "WatchRecipe",
    ),
}  # fmt: skip
HEAVY = ("torch", "diffusers", "transformers", "peft", "numpy", "PIL", "gradio", "fastapi")


@pytest.mark.parametrize("module", NAMES)
def test_every_name_is_there(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in NAMES[module] if not hasattr(found, name)] == []


def test_a_run_is_started_and_resumed_with_the_same_arguments() -> None:
    common = ["control", "host", "quiet", "processes"]
    train, resume = (list(inspect.signature(function).parameters) for function in (run.train, run.resume))
    assert train[0] == "recipe" and set(common) | {"folder"} == set(train[1:])
    assert resume[0] == "folder" and set(common) | {"settings"} == set(resume[1:])
    assert [field.name for field in dataclasses.fields(run.RunResult)] == ["folder", "outcome", "message", "saves"]


def test_a_recipe_has_its_sections_and_its_error_is_a_value_error() -> None:
    sections = ["version", "model", "dataset", "method", "train", "save", "watch"]
    assert [field.name for field in dataclasses.fields(Recipe)] == sections
    assert issubclass(RecipeError, ValueError)


@pytest.mark.parametrize("module", NAMES)
def test_importing_it_is_cheap(module: str) -> None:
    """What is heavy is imported when a run begins."""
    code = f"import sys, {module}; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
