"""What the desk offers, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

from sdft_ext.desk import Desk
from sdft_ext.method import METHODS
from sdft_ext.method.full import FullMethod
from sdft_ext.recipe import METHOD_INFO


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


def test_importing_desk_and_api_imports_nothing_heavy():
    heavy = ("torch", "diffusers", "peft", "transformers", "fastapi", "gradio", "scipy")
    code = f"import sys, sdft_ext.desk, sdft_ext.api; print([name for name in {heavy!r} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
