"""Each method counts the numbers that it trains before it creates them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdft_ext.formats import reference_families
from sdft_ext.method import METHODS
from sdft_ext.method.lora import LoraMethod
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from tests.formats import true_sizes

TOY = Path(__file__).parents[2] / "assets" / "toy" / "toy.safetensors"


FAMILIES = ("sd1", "sd2", "sdxl")
WHOLE = ((859520964, 123060480), (865910724, 340387840), (2567463684, 817720320))
NUMBERS: dict[str, tuple[tuple[int, int], ...]] = {
    "lora": ((16813056, 2654208), (16944128, 6782976), (49187840, 14450688)),
    "dora": ((17105472, 2737152), (17244736, 6994944), (50483840, 14902272)),
    "loha": ((33626112, 5308416), (33888256, 13565952), (98375680, 28901376)),
    "lokr": ((790480, 141312), (796432, 353280), (2258064, 690176)),
    "textual_inversion": ((0, 3072), (0, 4096), (0, 8192)),
    "pivotal": ((16813056, 2657280), (16944128, 6787072), (49187840, 14458880)),
    "hypernetwork": ((21939840, 0), (25611392, 0), (49962240, 0)),
    "dreambooth": WHOLE,
    "full": WHOLE,
}
"""With the recipe's defaults: in the UNet and in the text encoders, by family."""


def recipe(*settings: str) -> Recipe:
    return recipe_file.override(Recipe(), list(settings))


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("method.lora.rank=4", "method.lora.conv_rank=2", "method.lora.text_rank=1"),
        ("method.lora.layers=attention", "method.text_encoder=false"),
        ("method.lora.layers=linear", "method.unet=false"),
        ("method.lora.rank=1024", "method.lora.block_ranks.mid_block=0", "method.lora.block_ranks.up_blocks=3"),
        ("method.name=textual_inversion", "method.embedding.vectors=3"),
        ("method.name=textual_inversion", 'method.embedding.words={"ohwx": "cat", "zwx": ""}'),
        ("method.name=pivotal", "method.lora.rank=4"),
        (
            "method.name=hypernetwork",
            "method.hypernetwork.layer_structure=1, 2, 2, 1",
            "method.hypernetwork.layer_norm=true",
        ),
        ("method.name=hypernetwork", "method.hypernetwork.sizes=64"),
        *((f"method.name={name}",) for name in METHODS),
    ],
)
def test_trained_numbers_are_counted_exactly(settings: tuple[str, ...]):
    made = recipe("dataset.concepts.0.trigger=sks", *settings)
    model, method = load(TOY), METHODS[made.method.name]()
    method.attach(model, made)
    trained = sum(parameter.numel() for group in method.groups() for parameter in group.parameters)
    counted = method.trained_numbers(made, model.family)
    assert counted.total == trained
    parts = {
        part: sum(p.numel() for group in method.groups() for p in group.parameters if group.of_text_encoder == part)
        for part in (False, True)
    }
    assert (counted.unet, counted.text) == (parts[False], parts[True])


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_models_of_true_size_are_counted_exactly(name: str):
    model, method = true_sizes.model(name), LoraMethod()
    method.attach(model, recipe())
    trained = sum(parameter.numel() for group in method.groups() for parameter in group.parameters)
    assert method.trained_numbers(recipe(), reference_families.family(name)).total == trained


@pytest.mark.parametrize("name", NUMBERS)
def test_the_published_families_are_counted_by_part(name: str):
    made, method = recipe(f"method.name={name}", "dataset.concepts.0.trigger=sks"), METHODS[name]()
    counted = [method.trained_numbers(made, reference_families.family(family)) for family in FAMILIES]
    assert tuple((one.unet, one.text) for one in counted) == NUMBERS[name]
