"""The demonstration keeps its word, and the toy world tells good training from bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sdft_ext import run
from sdft_ext.method import METHODS
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy import demo
from sdft_ext.watch.progress import Progress

pytestmark = pytest.mark.slow
QUIET = Progress(quiet=True)


def report(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return data


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``standalone.py demo`` leaves."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    assert demo.main(["--out", str(out)]) == 0
    return out


def test_the_base_knows_its_world(shown: Path) -> None:
    quality = report(shown)["base_quality"]
    assert quality["colour"] >= 0.90 and quality["background"] >= 0.90 and quality["shape"] >= 0.85


def test_the_concept_is_learned_and_does_not_bleed(shown: Path) -> None:
    data = report(shown)
    assert data["concept_learned"] >= 0.85
    groups = data["bleeding_groups"]
    assert set(groups) == {"class word", "empty prompt", "own captions"}
    assert data["bleeding"] == max(groups.values()) <= 0.05
    unseen = [caption for caption in demo.concept_captions(demo.CONCEPT_PICTURES) if caption.split()[1] not in SEEN]
    assert len(unseen) >= demo.CONCEPT_PICTURES / 2


SEEN = ("red", "blue", "yellow")
"""Colours of the twelve stars."""


def test_what_a_newcomer_finds(shown: Path) -> None:
    data = report(shown)
    assert data["train_seconds"] > 0 and data["readback_max_diff"] < 1e-3
    assert len(data["saves"]) == 3 and all(Path(path).exists() for path in data["saves"])
    for name in ("report.md", "loss.png", "controls/grid.png", "log.jsonl"):
        assert (shown / name).stat().st_size > 0
    assert list((shown / "tensorboard").iterdir())
    assert (shown / "controls" / "bleeding" / "00" / "step-000000.png").exists()


def test_a_rate_thirty_times_too_high_is_advised_against(tmp_path: Path) -> None:
    recipe = recipe_file.override(
        demo.recipe(tmp_path / "hot"), ["train.learning_rate=0.12", "train.text_encoder_learning_rate=0.3"]
    )
    recipe.watch.concept_prompts, recipe.watch.bleeding_prompts = [], []
    result = run.train(recipe, folder=tmp_path / "hot", quiet=True)
    assert result.outcome == "failed" and "learning rate" in result.message
    assert report(tmp_path / "hot")["verdict"] in ("diverged", "failed")


def taught(recipe: Recipe, save: Path) -> dict[str, Any]:
    """Measure what a save learned and what bleeds; the base itself isn't measured again."""
    model = load(recipe.model.base)
    with METHODS["lora"]().applied(save, model):
        figures: dict[str, Any] = demo.measured_model(recipe, model, QUIET)
    return figures


def test_without_regularization_it_bleeds_more(shown: Path, tmp_path: Path) -> None:
    recipe = recipe_file.override(demo.recipe(tmp_path / "bare"), ["dataset.concepts.0.regularization="])
    recipe.watch.concept_prompts, recipe.watch.bleeding_prompts = [], []
    result = run.train(recipe, folder=tmp_path / "bare", quiet=True)
    figures = taught(recipe, result.saves[-1])
    assert figures["bleeding"] > report(shown)["bleeding"] + 0.2
    assert figures["copies"]["mean_distance"] < report(shown)["copies"]["mean_distance"]


def test_the_frozen_base_holds_its_own_where_as_much_is_learned(tmp_path: Path) -> None:
    """Without regularization pictures; the one that is held takes three times as long to learn as much."""
    figures: dict[str, dict[str, Any]] = {}
    for name, steps, weight in (("bare", 60, 0), ("held", 200, 1)):
        settings = (
            "dataset.concepts.0.regularization=",
            f"train.class_preservation={weight}",
            f"train.blank_preservation={weight}",
            "train.schedule=constant",
            f"train.length={steps}",
        )
        recipe = recipe_file.override(demo.recipe(tmp_path / name), settings)
        recipe.watch.concept_prompts, recipe.watch.bleeding_prompts = [], []
        save = run.train(recipe, folder=tmp_path / name, quiet=True).saves[-1]
        figures[name] = taught(recipe, save)
    assert figures["held"]["concept_learned"] >= max(figures["bare"]["concept_learned"] - 0.1, 0.6), figures
    assert figures["held"]["bleeding"] < figures["bare"]["bleeding"] - 0.3, figures
