"""What the chooser says of each method: the guide's values, and figures that are those of docs/methods.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.method_rows import ROWS
from sdft_ext.recipe import METHOD_INFO, Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.rules import fields
from tests.bench.test_methods import rows_of

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
GUIDE = {
    "full": ("medium to hard", "very good", "very good", "16 GB or more"),
    "dreambooth": ("easy (one subject) to very hard", "very good", "very good", "12 GB or more"),
    "lora": ("easy to hard", "good", "good", "8 GB or more"),
    "hypernetwork": ("easy to medium", "medium", "good", "8 GB or more"),
    "textual_inversion": ("easy", "medium", "good", "8 GB or more"),
}
"""Guizmus, "sd-training-intro", chapter "Choosing a training method"."""


def test_the_guide_s_values_are_those_of_the_guide():
    values = {name: info.described()["guide"] for name, info in METHOD_INFO.items()}
    assert {name: tuple(found.values()) for name, found in values.items() if found} == GUIDE


def test_the_figures_are_those_of_the_page():
    page = rows_of(PAGE.read_text(encoding="utf-8"))
    expected = {
        (row.method, row.concept): page[row.name]
        for row in ROWS
        if row.name in page and not row.compared and not row.changes
    }
    found = {
        (name, kind): one for name, info in METHOD_INFO.items() for kind, one in info.described()["measured"].items()
    }
    assert set(found) == set(expected) and len(found) >= len(METHOD_INFO)
    for key, figures in found.items():
        row = expected[key]
        assert (f"{figures['learned']:.2f}", f"{figures['bleeding']:.3f}") == (row["learned"], row["bleeding"]), key
        assert (str(figures["steps"]), str(figures["seconds"]), figures["file"]) == (
            row["steps"],
            row["seconds"],
            row["file"],
        )


def test_each_method_has_a_source():
    for info in METHOD_INFO.values():
        label, url = info.source
        assert label and url.startswith("https://")


@pytest.mark.parametrize("method", METHOD_INFO)
@pytest.mark.parametrize("family", ["toy", "sd1", "sdxl"])
def test_another_method_takes_its_preset_and_keeps_what_was_changed(method: str, family: str):
    begun = recipe_file.override(Recipe(), [])
    for path, value in presets.start("lora", "subject", family, 512, "fp16").items():
        recipe_file.put(begun, path, value)
    begun.train.batch_size = 7
    changed = presets.with_method(begun, method, family, 512, "fp16")
    wanted = {**presets.start(method, "subject", family, 512, "fp16"), "train.batch_size": 7}
    now = {setting.path: setting.value for setting in fields(changed)}
    assert {path: now[path] for path in wanted} == wanted
    assert begun.method.name == "lora", "the recipe itself stays"
