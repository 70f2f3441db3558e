"""A recipe of version 0.1.0 means what it meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdft_ext.method import METHODS
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.rules import fields
from tests.compatibility.earlier import WRITTEN, unpack

RECIPES = sorted(path.stem for path in (WRITTEN / "recipes").glob("*.yaml"))


@pytest.fixture(scope="module")
def home(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(data, tmp_path_factory.mktemp("earlier") / "home")


def values(recipe: Recipe) -> dict[str, object]:
    return {setting.path: setting.value for setting in fields(recipe)}


def test_there_is_one_of_each_method() -> None:
    assert set(RECIPES) <= set(METHODS) and len(RECIPES) == 9


@pytest.mark.parametrize("name", RECIPES)
def test_every_setting_has_the_value_that_it_had(name: str, home: Path) -> None:
    path = home / "recipes" / f"{name}.yaml"
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    found, defaults = values(recipe_file.read(path)), values(Recipe())
    assert {setting: found.get(setting) for setting in expected} == expected
    assert all(found[setting] == defaults[setting] for setting in found.keys() - expected.keys()), "of later versions"


@pytest.mark.parametrize("name", RECIPES)
def test_a_report_written_again_is_the_same(name: str, home: Path) -> None:
    recipe = recipe_file.read(home / "recipes" / f"{name}.yaml")
    assert recipe_file.loads(recipe_file.dumps(recipe)) == recipe
