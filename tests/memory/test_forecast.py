"""The forecast's parts are those that a run really has; what it advises needs less."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import peaks, traced_step
from sdft_ext.host.base import Described, Memory
from sdft_ext.memory import lower
from sdft_ext.memory.forecast import WITHOUT_MEMORY, forecast, forecasts
from sdft_ext.memory.phases import Place, phases
from sdft_ext.method.base import ParameterGroup
from sdft_ext.method.full import FullMethod
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.train.optimizer_memory import FACTORED, STATES, factored
from sdft_ext.train.optimizers import build
from tests.run import killed

TOY = Path(__file__).parents[2] / "assets" / "toy" / "toy.safetensors"
CPU, GPU = Described("toy", str(TOY), "sd1", "cpu", True), Described("toy", str(TOY), "sd1", "cuda", True)

PLENTY = Memory(100_000, 100_000, "cuda")


def recipe(*settings: str) -> Recipe:
    return recipe_file.override(Recipe(), ["dataset.resolution=64", *settings])


def held(*settings: str) -> dict[str, dict[str, float]]:
    """The phases of a run on the toy model."""
    return phases(recipe("dataset.concepts.0.trigger=sks", *settings), Place(load(TOY).family, "toy", True, True))


def test_each_answer_of_the_base_that_is_kept_takes_another_pass():
    def step(*settings: str) -> float:
        return held("method.text_encoder=false", "train.batch_size=8", *settings)["step"]["training step"]

    one, two = "train.class_preservation=1", "train.blank_preservation=1"
    assert step(one) == pytest.approx(2 * step(), rel=0.05)
    assert step(one, two) == pytest.approx(3 * step(), rel=0.05)


@pytest.mark.parametrize("name", [name for name in STATES if name != "adamw8bit"])
def test_optimizers_keep_as_much_as_forecast(name: str):
    shapes = ((16, 320), (320, 16), (16, 320, 3, 3))
    each = kept_by(name, shapes) / sum(math.prod(shape) for shape in shapes)
    assert STATES[name] == pytest.approx(each, rel=0.15, abs=0.08)  # type: ignore[index]


@pytest.mark.parametrize("name", FACTORED)
def test_of_whole_weights_rows_and_columns_are_counted(name: str):
    shapes = ((320, 640), (320, 320, 3, 3), (320,), (64, 4, 3, 3))
    total = sum(factored(shape, FACTORED[name]) for shape in shapes)  # type: ignore[index]
    assert total == pytest.approx(kept_by(name, shapes), rel=0.01)


def kept_by(name: str, shapes: tuple[tuple[int, ...], ...]) -> int:
    """Numbers that an optimizer keeps for parameters of these shapes."""
    layers = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    train = recipe(f"train.optimizer={name}", "train.learning_rate=1e-3").train
    optimizer = build([ParameterGroup("unet", layers, 1e-3)], train)
    for layer in layers:
        layer.grad = torch.randn_like(layer)
    optimizer.step()
    return sum(
        value.numel() * value.element_size() // 4
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )


@pytest.mark.parametrize(
    ("kind", "precision", "checkpointing", "width"),
    [
        ("lora", "fp32", False, 48),
        ("lora linear", "bf16", True, 4),
        ("dora", "fp32", True, 8),
        ("full", "bf16", False, 0),
        ("hypernetwork", "fp32", False, 5),
    ],
)
def test_a_step_takes_the_memory_of_its_coefficient_on_the_cpu(
    kind: str, precision: str, checkpointing: bool, width: int
) -> None:
    made = traced_step.recipe_of(kind, precision, checkpointing, width)
    trace = traced_step.Setting(load(TOY).family, made, fake=False).unet_step(96, 3)
    made.dataset = dataclasses.replace(made.dataset, resolution=96)
    made.train = dataclasses.replace(made.train, batch_size=3)
    made.method = dataclasses.replace(made.method, text_encoder=False)
    parts = phases(made, Place(load(TOY).family, "toy", True, True))["step"]
    gradients = traced_step.Setting(load(TOY).family, made, fake=False).gradient_bytes
    real = max(there + share * gradients for there, share in trace.moments) / 2**20
    assert parts["training step"] + parts["gradients"] == pytest.approx(real, rel=0.05)


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
    """The known memory use of trainers on top of the weights: a sanity check, not a measurement."""
    for name, side, low, high in (("sd1", 512, 1500, 9000), ("sdxl", 1024, 5000, 40000)):
        model = Described(name, f"{name}.ckpt", name, "cuda", True)
        estimate = forecast(
            recipe(f"dataset.resolution={side}", "train.precision=bf16"), model, Memory(1e6, 1e6, "GPU")
        )
        assert low < estimate["needed_mb"] < high, estimate


def test_what_does_not_fit_says_what_to_lower_and_that_it_helps():
    big = recipe("train.batch_size=16", "dataset.resolution=512")
    estimate = forecast(big, CPU, Memory(500, 1000, "CPU"))
    assert estimate["fits"] is False and "does not fit" in estimate["text"]
    assert "train.checkpointing = true" in estimate["text"] and "train.batch_size = 8" in estimate["text"]
    assert forecast(big, CPU, Memory(1e6, 1e6, "CPU"))["fits"] is True
    close = forecast(big, CPU, Memory(estimate["needed_mb"] * 1.05, 1e6, "CPU"))
    assert close["fits"] is None and "close" in close["text"]


@pytest.mark.parametrize(("family", "side", "free"), [("sd1", 512, 9), ("sdxl", 1024, 20), ("sd1", 512, 7)])
def test_whole_models_get_an_answer_that_fits(family: str, side: int, free: int) -> None:
    """DreamBooth by its preset: the changes named last fit, alone or together, and none of them can be left out."""
    made = preset("dreambooth", family, side)
    model, memory = (
        Described(family, f"{family}.ckpt", family, "cuda", True, dtype="fp16"),
        Memory(free * 1024, 1e6, ""),
    )
    before = forecast(made, model, memory)
    assert before["fits"] is False
    named = re.findall(r"[:;] ([^:;()]+) \(", before["text"].split("To need less", 1)[1])[-1].split(", ")

    def then(changes: list[str]) -> Any:
        settings = [one.replace(" = ", "=") for one in changes]
        return forecast(recipe_file.override(made, settings), model, memory)["fits"]

    assert named and then(named) is True
    pairs = [one for one in named if not one.startswith("train.precision")]  # comes with weights in bf16
    for one in pairs if len(pairs) > 1 else []:
        assert then([other for other in named if other != one]) is not True, one


def test_what_can_never_fit_says_so_and_names_another_way():
    model, memory = Described("sdxl", "sdxl.ckpt", "sdxl", "cuda", True, dtype="fp16"), Memory(6000, 1e6, "GPU")
    text = forecast(preset("dreambooth", "sdxl", 1024), model, memory)["text"]
    assert "Even with all that can be lowered it needs" in text and "choose a LoRA or a smaller base model" in text


def test_changes_are_gentle_first_and_only_as_many_as_needed():
    weights = {"train.checkpointing": 3.0, "train.batch_size": 2.0, "dataset.resolution": 6.0}

    def count(made: Recipe) -> float:
        changed = [made.train.checkpointing, made.train.batch_size < 4, made.dataset.resolution < 512]
        return 20 - sum(saved for saved, done in zip(weights.values(), changed, strict=True) if done)

    start = recipe("train.batch_size=4", "dataset.resolution=512")
    gentle = [{"train.checkpointing": True}, {"train.batch_size": 2}, {"dataset.resolution": 384}]
    chosen = {room: lower.fitting(start, gentle, count, room) for room in (17, 15, 14, 11, 8)}
    assert chosen == {17: gentle[:1], 15: gentle[:2], 14: gentle[2:], 11: [gentle[0], gentle[2]], 8: []}


def test_a_gpus_forecast_is_called_an_estimate():
    on_gpu = forecast(recipe(), GPU, Memory(8000, 8000, "Some GPU"))["text"]
    assert on_gpu.startswith("Estimated") and "not from this GPU" in on_gpu
    assert "Estimated" not in forecast(recipe(), CPU, Memory(8000, 8000, "CPU"))["text"]


def plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def preset(method: str, family: str, side: int) -> Recipe:
    settings = presets.start(method, "subject", family, side, "fp16")
    return recipe_file.override(Recipe(), [f"{path}={plain(value)}" for path, value in settings.items()])


def test_where_the_model_has_the_runs_dtype_its_weights_are_not_copied():
    """On an H100, at 512 and 1024 pixels: the estimate is as close as docs/memory.md says."""
    for name, side, held, measured in (
        ("sd1", 512, "fp16", 3129), ("sd1", 512, "bf16", 4977), ("sdxl", 1024, "fp16", 9821), ("sdxl", 1024, "bf16", 14106)  # noqa: E501
    ):  # fmt: skip
        settings = presets.start("lora", "subject", name, side, "fp16") | {
            "train.checkpointing": False,
            "train.precision": held,
        }
        made = recipe_file.override(Recipe(), [f"{path}={plain(value)}" for path, value in settings.items()])
        model = Described(name, f"{name}.ckpt", name, "cuda", True, dtype="fp16")
        estimate = forecast(made, model, Memory(1e6, 1e6, "GPU"))
        assert estimate["needed_mb"] == pytest.approx(measured, rel=0.1), (name, held)


def test_the_mode_is_chosen_and_shown():
    made = recipe("dataset.resolution=512", "method.text_encoder=false", "train.precision=bf16", "train.batch_size=4")
    gpu, cpu = (Described("sd", "sd.ckpt", "sd1", device, True) for device in ("cuda:0", "cpu"))
    roomy = forecast(made, gpu, Memory(1e6, 1e6, "GPU"))
    assert roomy["mode"] == "shared" and "drawn between two steps" in roomy["text"] and roomy["estimate"]
    assert "One step measures it before the run begins." in roomy["text"]
    narrow = Memory(roomy["needed_mb"] - 100, 1e6, "GPU")
    alone = forecast(made, gpu, narrow)
    # The VAE and the text encoder of SD 1, in halves.
    assert alone["mode"] == "exclusive" and alone["parts"]["offloaded"] == pytest.approx(-394, abs=1)
    assert "the VAE and the text encoder are in the computer's memory, and pictures asked for wait" in alone["text"]
    assert alone["needed_mb"] <= narrow.free_mb and alone["fits"] is not False
    # What would need less is counted in the mode that it would be trained in.
    lower = recipe("dataset.resolution=512", "method.text_encoder=false", "train.precision=bf16", "train.batch_size=2")
    estimate = forecast(made, gpu, Memory(alone["needed_mb"] * 1.02, 1e6, "GPU"))
    assert estimate["mode"] == "exclusive" and estimate["fits"] is None
    half = forecast(lower, gpu, Memory(1e6, 1e6, "GPU"))["needed_mb"]
    assert f"train.batch_size = 2, train.accumulation = 2 ({(half - 394) / 1024:.1f} GB)" in estimate["text"]
    # Where even that doesn't suffice, nothing is promised of it; and a CPU has no other memory.
    assert forecast(made, gpu, Memory(500, 1e6, "GPU"))["mode"] == "shared"
    on_cpu = forecast(made, cpu, narrow)
    assert on_cpu["mode"] == "shared" and not on_cpu["estimate"]


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
    assert method.trained_numbers(made, model.family).total == trained
    family = Place(load(TOY).family, "toy", True, True)
    parts = phases(made, family)["end of a step"]
    narrow = recipe("method.name=full", *settings, "method.full.weights=bf16", "train.precision=bf16")
    other = phases(narrow, family)["end of a step"]
    assert parts["trained weights"] == pytest.approx(trained * 4 / 2**20, abs=0.1)
    assert (
        other["gradients"] == pytest.approx(parts["gradients"] / 2, abs=0.1)
        and other["optimizer"] == parts["optimizer"]
    )


def write_peaks(recipe: Path, folder: Path, found: Path) -> None:
    found.write_text(json.dumps(peaks.peaks(recipe, folder)))


def forked(recipe: Path, folder: Path) -> dict[str, float]:
    """Measure a run in a process of its own, without importing torch again."""
    found = folder.with_name("peaks.json")
    process = killed.start(recipe, folder, found, target=write_peaks)
    process.join()
    answer: dict[str, float] = json.loads(found.read_text())
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 5, 10, 14, 17, 19])
def test_a_whole_run_takes_what_was_forecast(number: int, tmp_path: Path) -> None:
    """Of ``python -m bench memory --check``: a LoRA, one with priors, LoKr, weights in bf16, pivotal tuning,
    hypernetwork.
    """
    measure = peaks.in_own_process if number == 1 or os.name == "nt" else forked
    row = peaks.compare(peaks.cases("toy")[number], TOY, tmp_path / "case", measure)
    assert abs(row.off) <= 0.1 and abs(row.off_step) <= 0.1, row


OFTEN = {
    "train.learning_rate": "3e-4",
    "train.text_encoder_learning_rate": "3e-4",
    "train.length": "77",
    "train.length_unit": "epochs",
    "train.schedule": "linear",
    "train.warmup": "7",
    "train.seed": "7",
    "save.name": "other",
    "save.output": "elsewhere",
    "save.every": "3",
    "save.every_unit": "steps",
    "dataset.concepts.0.name": "other",
    "dataset.concepts.0.instance": "elsewhere",
    "dataset.concepts.0.regularization": "class",
}


@pytest.mark.parametrize("setting", OFTEN)
def test_settings_that_are_left_out_of_the_key_need_no_memory(setting: str):
    assert set(WITHOUT_MEMORY) <= set(OFTEN)
    for method in ("lora", "full"):
        one, other = (recipe(f"method.name={method}", *more) for more in ((), (f"{setting}={OFTEN[setting]}",)))
        assert forecast(one, GPU, PLENTY)["needed_mb"] == forecast(other, GPU, PLENTY)["needed_mb"]


@pytest.mark.parametrize("free", [1, 150, 220, 300, 100_000])
@pytest.mark.parametrize("model", [CPU, GPU])
def test_several_recipes_are_forecast_as_each_alone(model: Described, free: float):
    recipes = {
        f"{m} {b}": recipe(f"method.name={m}", f"train.batch_size={b}") for m in ("lora", "full") for b in (1, 8)
    }
    for _ in range(2):  # counted, then as counted before
        found = forecasts(recipes, model, Memory(free, free, model.device))
        for name, one in recipes.items():
            alone = forecast(one, model, Memory(free, free, model.device))
            assert found[name] == {"needed_mb": alone["needed_mb"], "fits": alone["fits"]}, name
