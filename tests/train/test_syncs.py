"""A step makes Python wait for the device twice: for the loss and for the gradients' norm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.step import FixedBatch
from bench.step_methods import batch_of
from sdft_ext.method import METHODS
from sdft_ext.model.base import Conditioning
from sdft_ext.model.load import load
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.train.loop import Encoders, Loop

TOY = Path(__file__).parents[2] / "assets" / "toy" / "toy.safetensors"


IN_PYTHON = ("tolist", "numpy", "cpu")
"""Methods that copy a tensor to the CPU; on a CPU, torch's dispatcher doesn't see them."""


class Waits(TorchDispatchMode):
    """Counts the operations that end in Python's hands: a GPU must have finished all before them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.seen: list[str] = []
        for name in IN_PYTHON:
            own = getattr(torch.Tensor, name)
            monkeypatch.setattr(torch.Tensor, name, lambda *given, own=own, name=name: self._see(name) or own(*given))

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        if any(wait in name for wait in ("_local_scalar_dense", "nonzero", "masked_select", "aten.equal")):
            self._see(name)
        return function(*args, **(kwargs or {}))

    def _see(self, name: str) -> None:
        self.seen.append(name)


def waits(*settings: str) -> list[str]:
    """Return the waits of the third step."""
    torch.manual_seed(0)
    made = recipe_file.override(Recipe(), ["method.text_encoder=false", "train.learning_rate=1e-3", *settings])
    model, method = load(TOY), METHODS[made.method.name]()
    method.attach(model, made)
    for module in model.modules:
        module.train()
    batch = batch_of("toy", 4)
    text = Conditioning(torch.randn(len(batch.latents), 77, model.family.unet["cross_attention_dim"]))
    loop = Loop(made, model, method, FixedBatch(batch), 10, Encoders(lambda _: text, lambda _: text))
    loop.step(0)
    loop.step(1)
    with pytest.MonkeyPatch.context() as monkeypatch, Waits(monkeypatch) as counted:
        loop.step(2)
    method.detach()
    return counted.seen


@pytest.mark.parametrize("method", ["lora", "dora", "loha", "lokr", "hypernetwork", "full"])
def test_a_step_waits_twice(method: str) -> None:
    assert len(waits(f"method.name={method}")) == 2


@pytest.mark.parametrize("optimizer", ["lion", "adafactor", "came", "adamw_schedule_free"])
def test_optimizers_wait_for_nothing(optimizer: str) -> None:
    assert len(waits(f"train.optimizer={optimizer}", "method.lora.layers=attention")) == 2


@pytest.mark.parametrize(("optimizer", "more"), [("dadaptadam", 1), ("prodigy", 2)])
def test_optimizers_that_find_their_step_size_wait_for_it(optimizer: str, more: int) -> None:
    assert len(waits(f"train.optimizer={optimizer}", "method.lora.layers=attention")) == 2 + more


def test_a_cap_of_the_norms_waits_once_for_all_layers() -> None:
    assert len(waits("method.lora.norm_cap=0.01")) == 3


def test_half_precision_weights_and_dropout_wait_no_more() -> None:
    assert len(waits("method.name=full", "method.full.weights=bf16", "train.precision=bf16")) == 2
    assert len(waits("method.lora.dropout=0.1", "method.lora.rank_dropout=0.1", "train.precision=bf16")) == 2
