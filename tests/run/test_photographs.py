"""Twenty real photographs as a dataset, to the end of a run: on the toy model, and three steps at SD 1.5's true
size.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from sdft_ext.formats import reference_families
from sdft_ext.host.base import Files
from sdft_ext.host.standalone import Shelf, StandaloneHost
from sdft_ext.model import borrow
from sdft_ext.model.base import Model
from sdft_ext.recipe import Concept, DatasetRecipe, ModelRecipe, Recipe, SaveRecipe, TrainRecipe, WatchRecipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import train
from sdft_ext.toy.install import CHECKPOINT
from tests.dataset.photographs import COUNT, write_photographs
from tests.run import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder)
    return folder


def recipe(photographs: Path, output: Path, *settings: str) -> Recipe:
    concept = Concept(trigger="sks", class_word="photo", instance=str(photographs))
    base = Recipe(
        model=ModelRecipe(base=str(CHECKPOINT)),
        dataset=DatasetRecipe([concept], resolution=128, bucket_step=16, bucket_min=64, bucket_max=256, cache="disk"),
        train=TrainRecipe(length=2, length_unit="epochs", batch_size=2, learning_rate=1e-3),
        save=SaveRecipe(output=str(output), name="photographs"),
        watch=WatchRecipe(tensorboard=False, propose_prompts=False),
    )
    return recipe_file.override(base, settings)


def test_on_the_toy_model(photographs: Path, tmp_path: Path) -> None:
    result = train(recipe(photographs, tmp_path), quiet=True)
    assert result.outcome == "finished", result.message
    report = json.loads((result.folder / "report.json").read_text(encoding="utf-8"))
    assert report["dataset"]["pictures"] == COUNT and report["dataset"]["problems"] == []
    assert len(report["dataset"]["buckets"]) > 3
    losses = [line["loss"] for line in tiny.losses(result.folder)]
    assert len(losses) == 2 * report["dataset"]["steps_per_epoch"] >= COUNT
    assert all(map(math.isfinite, losses))
    cached = list((tmp_path / "cache").rglob("*.safetensors"))
    assert len(cached) >= COUNT
    again = train(recipe(photographs, tmp_path), quiet=True)
    assert [line["loss"] for line in tiny.losses(again.folder)] == losses
    assert sorted((tmp_path / "cache").rglob("*.safetensors")) == sorted(cached)


class RandomWeights(Shelf):
    """Holds a model of a family's true sizes that is in no file."""

    def take(self, files: Files) -> Model:
        if self.model is None:
            family = reference_families.family("sd1")
            unet, vae, *texts = borrow.skeletons(family)
            with torch.random.fork_rng(devices=[]):
                torch.random.manual_seed(0)
                for module in (unet, vae, *texts):
                    module.to_empty(device="cpu")
                    for parameter in module.parameters():
                        torch.nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.02)
            self.model, self.files = borrow.finish(family, unet, vae, texts, None), files
        return self.model


def test_three_steps_at_the_true_size(photographs: Path, tmp_path: Path) -> None:
    host = StandaloneHost(ModelRecipe(), shelf=RandomWeights())
    settings = ["train.length=3", "train.length_unit=steps", "train.batch_size=1", "method.lora.layers=attention"]
    result = train(recipe(photographs, tmp_path, *settings), host=host, quiet=True)
    assert result.outcome == "finished", result.message
    losses = [line["loss"] for line in tiny.losses(result.folder)]
    assert len(losses) == 3 and all(map(math.isfinite, losses))
    assert result.saves[-1].stat().st_size > 3_000_000
