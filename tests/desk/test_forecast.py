"""The forecast's parts are those that a run really has; what it advises needs less."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from bench import memory as bench
from sdft_ext import recipe_file
from sdft_ext.desk import Desk
from sdft_ext.desk.forecast import STATES, adapter_numbers, forecast
from sdft_ext.host.base import Described, Memory
from sdft_ext.method import METHODS
from sdft_ext.method.base import ParameterGroup
from sdft_ext.method.full import FullMethod
from sdft_ext.method.lora import LoraMethod
from sdft_ext.model import published
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe
from sdft_ext.train.optimizers import build
from tests.desk.setting import values
from tests.formats import true_sizes

TOY = Path(__file__).parents[2] / "assets" / "toy" / "toy.safetensors"
CPU, GPU = Described("toy", str(TOY), "sd1", "cpu", True), Described("toy", str(TOY), "sd1", "cuda", True)


def recipe(*settings: str) -> Recipe:
    return recipe_file.override(Recipe(), ["dataset.resolution=64", *settings])


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
        ("method.name=hypernetwork",),
        (
            "method.name=hypernetwork",
            "method.hypernetwork.layer_structure=1, 2, 2, 1",
            "method.hypernetwork.layer_norm=true",
        ),
        ("method.name=hypernetwork", "method.hypernetwork.sizes=64"),
    ],
)
def test_trained_numbers_are_counted_exactly(settings: tuple[str, ...]):
    made = recipe("dataset.concepts.0.trigger=sks", *settings)
    model, method = load(TOY), METHODS[made.method.name]()
    method.attach(model, made)
    trained = sum(parameter.numel() for group in method.groups() for parameter in group.parameters)
    assert adapter_numbers(made, model.family) == trained


def test_each_answer_of_the_base_that_is_kept_takes_another_pass():
    def step(*settings: str) -> float:
        made = recipe("dataset.concepts.0.trigger=sks", "method.text_encoder=false", *settings)
        return float(forecast(made, CPU, Memory(10_000, 10_000, "CPU"))["parts"]["training step"])

    one, two = "train.class_preservation=1", "train.blank_preservation=1"
    assert step(one) == pytest.approx(2 * step(), rel=0.01)
    assert step(one, two) == pytest.approx(3 * step(), rel=0.01)


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_models_of_true_size_are_counted_exactly(name: str):
    model, method = true_sizes.model(name), LoraMethod()
    method.attach(model, recipe())
    trained = sum(parameter.numel() for group in method.groups() for parameter in group.parameters)
    assert adapter_numbers(recipe(), published.family(name)) == trained


@pytest.mark.parametrize("name", [name for name in STATES if name != "adamw8bit"])
def test_optimizers_keep_as_much_as_is_said(name: str):
    layers = [torch.nn.Parameter(torch.randn(shape)) for shape in ((16, 320), (320, 16), (16, 320, 3, 3))]
    train = recipe(f"train.optimizer={name}", "train.learning_rate=1e-3").train
    optimizer = build([ParameterGroup("unet", layers, 1e-3)], train)
    for layer in layers:
        layer.grad = torch.randn_like(layer)
    optimizer.step()
    kept = sum(
        value.numel()
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )
    each = kept / sum(layer.numel() for layer in layers)
    assert STATES[name] == pytest.approx(each, rel=0.15, abs=0.08)  # type: ignore[index]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_step_takes_on_the_cpu_what_its_coefficient_says(checkpointing: bool):
    family = load(TOY).family
    told = bench.recipe_of("fp32", checkpointing)
    (real,) = bench.step_bytes(family, told, [(96, 3)], torch.float32, fake=False)
    told.dataset = dataclasses.replace(told.dataset, resolution=96)
    told.train = dataclasses.replace(told.train, batch_size=3)
    told.method = dataclasses.replace(told.method, text_encoder=False)
    parts = forecast(told, CPU, Memory(1e6, 1e6, "CPU"))["parts"]
    assert parts["training step"] == pytest.approx(real / 2**20, rel=0.05)


def test_more_of_everything_takes_more():
    plain = needed()
    for more in (
        "train.batch_size=8",
        "dataset.resolution=128",
        "train.optimizer=prodigy",
        "train.ema=0.99",
        "method.lora.rank=64",
    ):
        assert needed(more) > plain, more
    assert needed("train.checkpointing=true", "train.batch_size=8") < needed("train.batch_size=8")


def needed(*settings: str) -> float:
    return float(forecast(recipe(*settings), CPU, Memory(1e6, 1e6, "CPU"))["needed_mb"])


def test_sizes_of_the_published_models_are_of_the_right_order():
    """What trainers are known to take beside the weights: a sanity check, not a measurement."""
    for name, side, low, high in (("sd1", 512, 1500, 9000), ("sdxl", 1024, 5000, 40000)):
        model = Described(name, f"{name}.ckpt", name, "cuda", True)
        told = forecast(recipe(f"dataset.resolution={side}", "train.precision=bf16"), model, Memory(1e6, 1e6, "GPU"))
        assert low < told["needed_mb"] < high, told


def test_what_does_not_fit_says_what_to_lower_and_that_it_helps():
    big = recipe("train.batch_size=16", "dataset.resolution=512")
    told = forecast(big, CPU, Memory(500, 1000, "CPU"))
    assert told["fits"] is False and "does not fit" in told["text"]
    assert "train.checkpointing = true" in told["text"] and "train.batch_size = 8" in told["text"]
    assert forecast(big, CPU, Memory(1e6, 1e6, "CPU"))["fits"] is True
    close = forecast(big, CPU, Memory(told["needed_mb"] * 1.05, 1e6, "CPU"))
    assert close["fits"] is None and "close" in close["text"]


def test_a_gpus_forecast_is_called_an_estimate():
    on_gpu = forecast(recipe(), GPU, Memory(8000, 8000, "Some GPU"))["text"]
    assert on_gpu.startswith("Estimated") and "not from this GPU" in on_gpu
    assert "Estimated" not in forecast(recipe(), CPU, Memory(8000, 8000, "CPU"))["text"]


def test_the_calculator_carries_the_forecast(desk: Desk, data: Path):
    memory = desk.calculate(values(data))["memory"]
    assert memory["fits"] is True and memory["needed_mb"] == pytest.approx(
        sum(memory["parts"].values()) - min(memory["parts"]["training step"], memory["parts"].get("drawing", 0)), abs=1
    )


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("method.text_encoder=false", "method.full.frozen=[down_blocks, attn1]"),
        ("method.full.save_as=lora",),
    ],
)
def test_whole_models_are_counted_exactly(settings: tuple[str, ...]):
    model, method, made = load(TOY), FullMethod(), recipe("method.name=full", *settings)
    method.attach(model, made)
    trained = sum(parameter.numel() for group in method.groups() for parameter in group.parameters)
    assert adapter_numbers(made, model.family) == trained
    parts = forecast(made, CPU, Memory(1e6, 1e6, "CPU"))["parts"]
    narrow = recipe("method.name=full", *settings, "method.full.weights=bf16", "train.precision=bf16")
    other = forecast(narrow, CPU, Memory(1e6, 1e6, "CPU"))["parts"]
    assert parts["trained weights"] == pytest.approx(trained * 4 / 2**20, abs=0.1)
    assert (
        other["gradients"] == pytest.approx(parts["gradients"] / 2, abs=0.1)
        and other["optimizer"] == parts["optimizer"]
    )
