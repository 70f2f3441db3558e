"""python -m bench memory [--json FILE]: the memory that a training step's intermediate results take, at every model's true size.

Nothing of that size is computed: torch's fake tensors go through the same code as a run's (adapters, loss, backward) and
carry shapes and types only, as on the CPU. Every block of memory that torch would hand out is counted from its birth to
its death; the most that lives at one time, beside weights and gradients, is what is told. The figures grow in proportion
to pixels × batch, so two sizes give the line through all. ``--write`` puts them into ``sdft_ext/desk/coefficients.json``,
where the page's forecast takes them from.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import weakref
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from sdft_ext.method.lora import LoraMethod
from sdft_ext.model import borrow, published
from sdft_ext.model.base import Conditioning, Family, Model, predict
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe

from .table import show

ROOT = Path(__file__).resolve().parent.parent
TOY = ROOT / "assets" / "toy" / "toy.safetensors"
TARGET = ROOT / "sdft_ext" / "desk" / "coefficients.json"
SIDES = {"toy": (64, 128), "sd1": (256, 512), "sdxl": (512, 1024)}
"""Pixels; the line through two sizes. (SD 2 has SD 1's widths.)"""
BASES = {"fp32": torch.float32, "bf16": torch.float16}
"""Precision of the run → the base's own number format, as a WebUI on a GPU holds it: fp16 bases are computed in bf16 from
a copy of their weights. (Computing in fp16 takes no more.)"""
COMPUTE = {"bf16": torch.bfloat16}


class Peak(TorchDispatchMode):
    """Counts the bytes that live: the most at one time stands in ``most``. Tensors that were there before don't count."""

    def __init__(self, *before: Tensor) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: dict[int, Any] = {}
        self._before = {id(tensor.untyped_storage()) for tensor in before}
        self._kept = [tensor.untyped_storage() for tensor in before]

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in tree_flatten(result)[0]:
            if isinstance(value, Tensor):
                self._add(value)
        return result

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._known or key in self._before:
            return
        size = storage.nbytes()

        def gone(_: Any, key: int = key, size: int = size) -> None:
            if self._known.pop(key, None) is not None:
                self.now -= size

        self._known[key] = weakref.ref(storage, gone)
        self.now += size
        self.most = max(self.most, self.now)


def family(name: str) -> Family:
    return load(TOY).family if name == "toy" else published.family(name)


def with_adapters(family: Family, recipe: Recipe) -> tuple[Model, LoraMethod]:
    """The model as a run has it, without memory."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    unet, vae, *texts = borrow.skeletons(family)
    model = Model(family, unet, vae, texts, [], torch.ones(1000, dtype=torch.float64))
    method = LoraMethod()
    method.attach(model, recipe)
    unet.set_attn_processor(AttnProcessor2_0())
    if recipe.train.checkpointing:
        unet.enable_gradient_checkpointing()
    for module in (unet, *texts):
        module.train()
    return model, method


def fill(model: Model, dtype: torch.dtype) -> None:
    """Give the model fake memory. Call it inside a FakeTensorMode."""
    for part in [part for module in model.modules for part in module.modules()]:
        for name, parameter in part._parameters.items():
            if parameter is not None:
                kind = torch.float32 if parameter.requires_grad else dtype
                fake = torch.empty(parameter.shape, dtype=kind)
                part._parameters[name] = torch.nn.Parameter(fake, requires_grad=parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)


def step_bytes(
    family: Family, recipe: Recipe, sizes: Sequence[tuple[int, int]], dtype: torch.dtype, fake: bool = True
) -> list[int]:
    """The most that lives in one forward and backward pass of the UNet, gradients and weights aside, for each (side, batch).

    Without ``fake`` everything is computed, to see that the fake ones tell the truth.
    """
    model, method = with_adapters(family, recipe)
    with FakeTensorMode() if fake else nullcontext():
        fill(model, dtype)
        return [_step_bytes(family, recipe, model, method, side, batch) for side, batch in sizes]


def _step_bytes(family: Family, recipe: Recipe, model: Model, method: LoraMethod, side: int, batch: int) -> int:
    parameters = [parameter for group in method.groups() for parameter in group.parameters]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    noisy = torch.zeros(batch, 4, side // 8, side // 8)
    context = torch.zeros(batch, 77, family.unet["cross_attention_dim"])
    pooled = torch.zeros(batch, 1280) if family.name == "sdxl" else None
    everything = [*model.unet.parameters(), *(p.grad for p in parameters if p.grad is not None), noisy, context]
    return _most(everything, lambda: _step(model, recipe, noisy, Conditioning(context, pooled)))


def _step(model: Model, recipe: Recipe, noisy: Tensor, conditioning: Conditioning) -> None:
    compute = COMPUTE.get(recipe.train.precision)
    with torch.autocast("cpu", dtype=compute) if compute else nullcontext():
        timesteps = torch.zeros(len(noisy), dtype=torch.long)
        predicted = predict(model, noisy, timesteps, conditioning, torch.zeros(len(noisy), 6))
        loss = ((predicted.float() - torch.zeros_like(noisy)) ** 2).mean()
    loss.backward()


def _most(before: list[Tensor], work: Any) -> int:
    with Peak(*before) as peak:
        work()
    return peak.most


def text_bytes(family: Family, recipe: Recipe, batch: int, dtype: torch.dtype) -> int:
    """What a batch of captions adds while the text encoders train."""
    compute = COMPUTE.get(recipe.train.precision)
    model, _ = with_adapters(family, recipe)
    with FakeTensorMode():
        fill(model, dtype)
        tokens = torch.zeros(batch, 77, dtype=torch.long)

        def work() -> None:
            with torch.autocast("cpu", dtype=compute) if compute else nullcontext():
                outputs = [text(tokens, output_hidden_states=True).hidden_states[-1] for text in model.text_encoders]
            sum(output.float().mean() for output in outputs).backward()  # type: ignore[union-attr]

        return _most([p for text in model.text_encoders for p in text.parameters()], work)


def decode_bytes(family: Family, side: int, dtype: torch.dtype) -> int:
    """The most that lives while one picture's latents are decoded."""
    model, _ = with_adapters(family, Recipe())
    vae = model.vae
    with FakeTensorMode(), torch.no_grad():
        fill(model, dtype)
        latents = torch.zeros(1, 4, side // 8, side // 8, dtype=dtype)
        return _most([*vae.parameters(), latents], lambda: vae.decode(latents))


def recipe_of(precision: str, checkpointing: bool) -> Recipe:
    """Every layer trains: fewer keep less for their gradients."""
    recipe = Recipe()
    recipe.method.lora = dataclasses.replace(recipe.method.lora, layers="all", rank=16)
    recipe.train.precision, recipe.train.checkpointing = precision, checkpointing  # type: ignore[assignment]
    return recipe


def line(small: int, large: int, cells: tuple[int, int]) -> dict[str, float]:
    """bytes = fixed + each · cells, where a cell is one of the latent picture's."""
    each = (large - small) / (cells[1] - cells[0])
    return {"fixed_mb": round(max(small - each * cells[0], 0) / 2**20, 2), "cell_kb": round(each / 2**10, 3)}


def measure(name: str) -> Iterator[tuple[str, dict[str, float]]]:
    """(case, figures) of one family."""
    kind, sides = family(name), SIDES[name]
    cells = ((sides[0] // 8) ** 2, (sides[1] // 8) ** 2)
    for precision, dtype in BASES.items():
        for checkpointing in (False, True):
            recipe = recipe_of(precision, checkpointing)
            small, large = step_bytes(kind, recipe, [(side, 1) for side in sides], dtype)
            yield f"step {precision}{' checkpointing' if checkpointing else ''}", line(small, large, cells)
        recipe = recipe_of(precision, False)
        one, three = (text_bytes(kind, recipe, batch, dtype) for batch in (1, 3))
        yield (
            f"text {precision}",
            {"fixed_mb": round((3 * one - three) / 2 / 2**20, 2), "caption_mb": round((three - one) / 2 / 2**20, 2)},
        )
        small, large = (decode_bytes(kind, side, dtype) for side in sides)
        yield f"decode {precision}", line(small, large, cells)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench memory", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--family", choices=tuple(SIDES), action="append", help="only this one; may be given several times"
    )
    parser.add_argument("--write", action="store_true", help="write the forecast's coefficients")
    options = parser.parse_args(argv)
    table = {name: dict(measure(name)) for name in options.family or SIDES}
    if options.write:
        kept = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
        TARGET.write_text(json.dumps({**kept, **table}, indent=1) + "\n", encoding="utf-8")
    rows = [
        [name, case, *(f"{key} {value}" for key, value in figures.items())]
        for name, cases in table.items()
        for case, figures in cases.items()
    ]
    show(["family", "case", "fixed", "each"], rows, {"memory": table}, options.json)
    return 0
