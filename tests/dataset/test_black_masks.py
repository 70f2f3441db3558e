"""Masks that hide all of their picture get a sentence before the run, masks that nothing uses too."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sdft_ext.analysis.advice import advice
from sdft_ext.dataset import black_masks
from sdft_ext.dataset.folder import scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from tests.analysis.images import image, save


def recipe_of(folder: Path, *settings: str) -> Recipe:
    return recipe_file.override(Recipe(), [f"dataset.concepts.0.instance={folder}", *settings])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures with a black mask, a mask that is black but for a pixel, a transparent black one, and none."""
    spot = Image.new("L", (80, 48))
    spot.putpixel((40, 20), 255)
    masks = {"black": Image.new("L", (80, 48)), "spot": spot, "clear": Image.new("RGBA", (80, 48)), "white": None}
    for name, mask in masks.items():
        save(tmp_path / f"{name}.png", image(80, 48))
        if mask is not None:
            save(tmp_path / f"{name}-mask.png", mask)
    return tmp_path


def test_black_masks_are_named(pictures: Path) -> None:
    recipe = recipe_of(pictures, "train.masked_loss=true", "train.unmasked_weight=0")
    (sentence,) = black_masks.notes(scan(recipe.dataset), recipe)
    assert "masks of 2 pictures (black.png, clear.png) are black all over" in sentence
    (pictures / "clear-mask.png").unlink()
    (sentence,) = black_masks.notes(scan(recipe.dataset), recipe)
    assert "mask of 1 picture (black.png) is black" in sentence and "nothing of it" in sentence


def test_transparent_pictures_are_named_where_alpha_is_the_mask(tmp_path: Path) -> None:
    save(tmp_path / "a.png", Image.new("RGBA", (64, 64)))
    save(tmp_path / "b.png", Image.new("RGBA", (64, 64), (1, 2, 3, 255)))
    recipe = recipe_of(tmp_path, "train.masked_loss=true", "train.unmasked_weight=0", "dataset.alpha=mask")
    (sentence,) = black_masks.notes(scan(recipe.dataset), recipe)
    assert "(a.png)" in sentence


@pytest.mark.parametrize(
    "settings", [["train.masked_loss=false"], ["train.masked_loss=true", "train.unmasked_weight=0.1"]]
)
def test_masks_that_hide_nothing_get_no_sentence(settings: list[str], pictures: Path) -> None:
    recipe = recipe_of(pictures, *settings)
    assert black_masks.notes(scan(recipe.dataset), recipe) == []


def test_masks_that_nothing_uses_are_named(pictures: Path) -> None:
    for on in (False, True):
        recipe = recipe_of(pictures, f"train.masked_loss={on}")
        found = scan(recipe.dataset)
        kinds = {finding.kind: finding for finding in advice(found, Plan(found, recipe.dataset, recipe.train, []))}
        assert ("masks_not_used" in kinds) != on and "no_masks" not in kinds
        assert on or "3 pictures have a mask (black.png" in kinds["masks_not_used"].text
