"""Pictures drawn from prompts: what the model is asked for, and what it draws."""

from __future__ import annotations

import numpy as np
import pytest

from sdft_ext.model.base import Model
from sdft_ext.model.load import load
from sdft_ext.model.sample import SamplerSettings, sample
from sdft_ext.toy.install import CHECKPOINT

STEPS = 4


@pytest.fixture(scope="module")
def model() -> Model:
    return load(str(CHECKPOINT))


def drawn(model: Model, prompts: list[str], guidance: float = 5.0) -> tuple[list[np.ndarray], list[int]]:
    """The pictures, and how many rows the model was asked for at each step."""
    asked: list[int] = []
    unet = model.unet.register_forward_pre_hook(lambda _, inputs: asked.append(len(inputs[0])))
    settings = SamplerSettings(negative="grey", steps=STEPS, guidance=guidance, width=64, height=64)
    try:
        pictures = sample(model, prompts, list(range(len(prompts))), settings)
    finally:
        unet.remove()
    return [np.asarray(one).astype(int) for one in pictures], asked


def test_the_negative_prompts_own_pictures_cost_half_and_are_the_same(model: Model) -> None:
    prompts = ["a red star", "grey", "a blue ring", "grey"]
    mixed, asked = drawn(model, prompts)
    assert asked == [6] * STEPS
    without, asked = drawn(model, prompts, guidance=1.0)
    assert asked == [4] * STEPS
    for number in (1, 3):
        assert np.abs(mixed[number] - without[number]).max() <= 1
    for number in (0, 2):
        assert np.abs(mixed[number] - without[number]).max() > 10


def test_pictures_that_guidance_leads_are_the_same_beside_any_others(model: Model) -> None:
    alone, asked = drawn(model, ["a red star"])
    assert asked == [2] * STEPS
    beside, _ = drawn(model, ["a red star", "grey", "grey"])
    assert np.abs(alone[0] - beside[0]).max() <= 1
    only, asked = drawn(model, ["grey", "grey"])
    assert asked == [2] * STEPS and np.abs(only[1] - beside[1]).max() <= 1
