"""The hypernetwork's preset teaches the toy model the example style, and lets go of it where the trigger is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdft_ext import recipe_file, run
from sdft_ext.desk import presets
from sdft_ext.method import METHODS
from sdft_ext.model.load import load
from sdft_ext.toy import demo, measure, world
from sdft_ext.watch.progress import Progress

pytestmark = pytest.mark.slow
COUNT = 24


def test_the_preset_teaches_the_style_where_it_is_asked_for(tmp_path: Path) -> None:
    settings = presets.start("hypernetwork", "style", "toy", world.SIZE, gpu=False)
    settings |= {"train.length": 200, "save.every": 0, "save.output": str(tmp_path)}
    recipe = recipe_file.override(
        recipe_file.read(demo.EXAMPLES / "style.yaml"),
        [f"{path}={value if isinstance(value, str) else json.dumps(value)}" for path, value in settings.items()],
    )
    recipe.watch.concept_prompts, recipe.watch.bleeding_prompts = [], []
    result = run.train(recipe, folder=tmp_path / "run", quiet=True)
    assert result.outcome == "finished"
    model, quiet = load(recipe.model.base), Progress(quiet=True)
    with METHODS["hypernetwork"]().applied(result.saves[-1], model):
        asked, others = (
            measure.concept_learned(demo.pictures(model, captions, demo.SEED, quiet, ""), world.HATCH)
            for captions in (demo.concept_captions(COUNT, "style"), demo.base_captions(COUNT, "own"))
        )
    assert asked >= 0.25 and others <= asked / 2
