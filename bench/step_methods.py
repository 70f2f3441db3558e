"""python -m bench step --methods all: CPU time of a step with each method, against a bare loop and against LoRA.

The bare loop (``step.bare_step``) trains peft's own LoRA, of the same rank on the same layers. All loops run in one
process, in turns, and begin each round with another one: what else the machine does meets all alike. CPU time is that
of the process, with one thread, so that a crowded machine changes it little; a ratio is the median over the rounds with
its 95 % interval (order statistics). Settings are those of the methods' presets for a subject.

Sizes: ``toy`` is the embedded model with its text encoder, ``thin`` has every layer of SD 1.5 with 32 channels, so that
nearly all of its time is Python and torch's dispatch, and ``sd15`` is the full size, where arithmetic decides.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from sdft_ext.dataset.batches import Batch
from sdft_ext.formats.family import Family
from sdft_ext.method import METHODS
from sdft_ext.method.lora import LoraMethod
from sdft_ext.model.base import Conditioning, Model, clean_alphas_cumprod
from sdft_ext.model.load import load
from sdft_ext.model.text import encode
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.presets import start
from sdft_ext.train.loop import Encoders, Loop

from .step import CONFIGS, FixedBatch, bare_step, interval, random_batch
from .table import show

FILE = Path(__file__).resolve().parent.parent / "assets" / "toy" / "toy.safetensors"
ADAPTERS = ("lora", "dora", "loha", "lokr")
OF_THE_UNET = (*ADAPTERS, "hypernetwork", "full")
SIZES = {"toy": tuple(METHODS), "thin": OF_THE_UNET, "sd15": ADAPTERS}
"""Methods of each size: those that train a text encoder need one, and a whole SD 1.5 takes minutes a step."""
SIDES, BATCHES, ROUNDS = {"toy": 64, "thin": 128, "sd15": 256}, {"toy": 4, "thin": 1, "sd15": 1}, {"toy": 25, "sd15": 5}
COLUMNS = ("method", "size", "cpu_ms", "cpu_to_bare", "low", "high", "cpu_to_lora", "low", "high")


def thin() -> dict[str, Any]:
    return {**CONFIGS["sd15"], "block_out_channels": (32,) * 4, "cross_attention_dim": 64, "attention_head_dim": 4}


class Models:
    """Models of one size that share their frozen weights, each to be trained with one method."""

    def __init__(self, size: str) -> None:
        torch.manual_seed(0)
        self.size = size
        self.weights: dict[str, torch.Tensor] = {}
        self.config = {} if size == "toy" else thin() if size == "thin" else CONFIGS[size]
        self.config = {"in_channels": 4, "out_channels": 4, "layers_per_block": 2, **self.config}

    def make(self) -> Model:
        """Make a model; the toy's is read again."""
        if self.size == "toy":
            return load(FILE)
        from diffusers import UNet2DConditionModel

        if not self.weights:
            self.weights = UNet2DConditionModel(**self.config).state_dict()
        with torch.device("meta"):
            unet = UNet2DConditionModel(**self.config)
        unet.load_state_dict(self.weights, assign=True)
        unet.requires_grad_(False)
        family = Family("sd1", "epsilon", False, self.config, {"latent_channels": 4}, (), (), 0.18215)
        return Model(family, unet, torch.nn.Identity(), [], [], clean_alphas_cumprod(), Path("random.safetensors"))


def recipe_of(method: str, size: str) -> Recipe:
    """Return the preset's recipe; a text encoder trains only where the method is about words."""
    settings = start(method, "subject", "toy" if size == "toy" else "sd1", SIDES[size])
    chosen = {name: value for name, value in settings.items() if name.startswith("method.")}
    lines = ["dataset.concepts.0.trigger=sks", *(f"{name}={value}" for name, value in chosen.items())]
    made = recipe_file.override(Recipe(), lines)
    made.method.text_encoder = method in ("textual_inversion", "pivotal")
    made.train.batch_size, made.train.length = BATCHES[size], 10_000
    return made


def batch_of(size: str, channels: int) -> Batch:
    return random_batch(BATCHES[size], channels, SIDES[size] // 8, "a photo of sks")


def text_of(model: Model, count: int) -> Conditioning:
    if model.text_encoders:
        with torch.no_grad():
            return encode(model, ["a photo of a star"] * count)
    return Conditioning(torch.randn(count, 77, model.family.unet["cross_attention_dim"]))


def method_step(models: Models, name: str) -> Callable[[int], None]:
    """Make the project's step with a method, as a run takes it."""
    model, made, method = models.make(), recipe_of(name, models.size), METHODS[name]()
    method.attach(model, made)
    for module in model.modules:
        module.train()
    batch = batch_of(models.size, model.family.unet["in_channels"])
    text = text_of(model, len(batch.latents))
    encoders = Encoders(lambda captions: encode(model, captions), lambda _: text)
    loop = Loop(made, model, method, FixedBatch(batch), made.train.length, encoders)

    def step(number: int) -> None:
        loop.step(number)

    return step


def peft_step(models: Models) -> Callable[[int], None]:
    """Make the bare loop's step with peft's own layers."""
    from peft import LoraConfig, inject_adapter_in_model

    model, made, method = models.make(), recipe_of("lora", models.size), LoraMethod()
    method.attach(model, made)
    names = [name.removeprefix("unet.") for name in method.adapters.shapes]
    ranks = {name.removeprefix("unet."): shape.rank for name, shape in method.adapters.shapes.items()}
    method.detach()
    lora = made.method.lora
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=names, rank_pattern=ranks)
    inject_adapter_in_model(config, model.unet)
    model.unet.train()
    batch = batch_of(models.size, model.family.unet["in_channels"])
    return bare_step(models.size, (model, None, made, batch, text_of(model, len(batch.latents))))


def measure(size: str, names: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """Return a row for each method, and one for the bare loop."""
    models = Models(size)
    steps = {"bare": peft_step(models), **{name: method_step(models, name) for name in names}}
    order = list(steps)
    for step in steps.values():
        step(0)
    seconds: dict[str, list[float]] = {name: [] for name in order}
    for number in range(rounds):
        first = number * 3 % len(order)
        turn = (order[first:] + order[:first])[:: -1 if number % 2 else 1]
        for name in turn:
            began = time.process_time()
            steps[name](number + 1)
            seconds[name].append(time.process_time() - began)
        print(f"\r{size}: round {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [row(size, name, seconds) for name in order]


def row(size: str, name: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    found: dict[str, Any] = {"method": name, "size": size, "rounds": len(seconds[name])}
    found["cpu_ms"] = round(1000 * statistics.median(seconds[name]), 1)
    for other in ("bare", "lora"):
        pairs = [own / of for own, of in zip(seconds[name], seconds.get(other, []), strict=False)]
        values: list[float | None] = [round(value, 3) for value in interval(pairs)] if pairs else [None] * 3
        keys = (f"cpu_to_{other}", f"cpu_to_{other}_low", f"cpu_to_{other}_high")
        found.update(zip(keys, values, strict=True))
    return found


def run(methods: str, sizes: Sequence[str], rounds: int | None, json_file: Path | None) -> int:
    """Measure these methods (names with commas, or 'all') at each size, and print the table."""
    torch.set_num_threads(1)
    wanted = list(METHODS) if methods == "all" else methods.split(",")
    rows: list[dict[str, Any]] = []
    for size in sizes or ("toy", "thin"):
        names = [name for name in SIZES[size] if name in wanted]
        rows += measure(size, names, rounds or ROUNDS.get(size, ROUNDS["toy"]))
    keys = [key for key in rows[0] if key != "rounds"]
    show(COLUMNS, [["" if one[key] is None else one[key] for key in keys] for one in rows], {"step": rows}, json_file)
    return 0
