"""What the desk offers, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sdft_ext.analysis.advice import advice
from sdft_ext.dataset import folder
from sdft_ext.dataset.plan import Plan
from sdft_ext.desk import Desk
from sdft_ext.method import METHODS
from sdft_ext.method.full import FullMethod
from sdft_ext.recipe import METHOD_INFO, Concept, DatasetRecipe, Kind, TrainRecipe
from tests.analysis.images import save


def test_the_desk_offers_presets_for_its_model(desk: Desk):
    schema = desk.recipes.schema()
    assert [preset["settings"]["dataset.resolution"] for preset in schema["presets"]] == [64] * len(schema["presets"])
    assert {preset["name"] for preset in schema["presets"]} == {
        f"{kind}-{method}"
        for kind in ("subject", "style")
        for method in ("lora", *(name for name, info in METHOD_INFO.items() if info.start))
    }
    assert [entry["name"] for entry in schema["thorough"]] == ["quick", "normal", "thorough"]


def test_the_desk_says_which_methods_train_the_whole_model(desk: Desk):
    """The page offers their saves as checkpoints, since no prompt can call them."""
    whole = {method["name"] for method in desk.recipes.schema()["methods"] if method["whole_model"]}
    assert whole == {name for name, method in METHODS.items() if issubclass(method, FullMethod)}


@pytest.mark.parametrize("kind", ["subject", "style"])
def test_the_report_and_the_page_recommend_the_same_counts(desk: Desk, tmp_path: Path, kind: Kind):
    save(tmp_path / "one.png")
    dataset = DatasetRecipe(concepts=[Concept(instance=str(tmp_path), kind=kind)])
    scan = folder.scan(dataset)
    found = {finding.kind: finding for finding in advice(scan, Plan(scan, dataset, TrainRecipe()))}
    recommended = desk.recipes.schema()["recommended"]
    facts = found["too_few_pictures"].facts
    assert (facts["low"], facts["high"]) == recommended["instance"][kind]
    facts = found["no_regularization"].facts
    assert (facts["low"], facts["high"]) == recommended["regularization"]


def test_importing_desk_and_api_imports_nothing_heavy():
    heavy = ("torch", "diffusers", "peft", "transformers", "fastapi", "gradio", "scipy")
    code = f"import sys, sdft_ext.desk, sdft_ext.api; print([name for name in {heavy!r} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
