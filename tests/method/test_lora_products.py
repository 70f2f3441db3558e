"""A LoRA's one product is peft's formula: the answer and every gradient, and peft's own where it has to be."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from peft.tuners.lora import Conv2d, Linear
from torch import Tensor, nn

from sdft_ext.method import lora_products
from sdft_ext.method.adapters import AdapterConfig, _lora
from tests.method.test_products import LAYERS


def make(shape: str, dropout: float = 0.0, dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
    """Make a LoRA in training whose up-weight has moved, at a strength that isn't 1."""
    torch.manual_seed(0)
    base = LAYERS[shape][0]().to(dtype).requires_grad_(False)
    layer = _lora(base, AdapterConfig(4, 3.0, dropout, **settings), torch.Generator().manual_seed(1)).train()
    with torch.no_grad():
        up = layer.lora_B["default"].weight
        up.copy_(0.1 * torch.randn(up.shape, generator=torch.Generator().manual_seed(2)))
    return layer


def by_peft(layer: Any, x: Tensor) -> Tensor:
    found: Tensor = (Conv2d if isinstance(layer, Conv2d) else Linear).forward(layer, x)
    return found


def both(layer: Any, x: Tensor, monkeypatch: pytest.MonkeyPatch, used: bool = True) -> list[list[Tensor]]:
    """Return answer and gradients by the layer and by peft; ``used``: whether the layer's are from the one product."""
    seen, own, found = [], lora_products._product, []

    def product(one: Any, x: Tensor) -> Tensor | None:
        answer = own(one, x)
        seen.append(answer is not None)
        return answer

    monkeypatch.setattr(lora_products, "_product", product)
    for compute in (layer, lambda x: by_peft(layer, x)):
        torch.manual_seed(7)
        leaf = x.clone().requires_grad_()
        answer = compute(leaf)
        probe = torch.randn(answer.shape, generator=torch.Generator().manual_seed(3))
        trained = [value for value in layer.parameters() if value.requires_grad]
        gradients = torch.autograd.grad((answer.float() * probe).sum(), [leaf, *trained])
        assert len(trained) == 2 and gradients[0].dtype == leaf.dtype and answer.dtype != torch.float64
        found.append([answer.detach(), *gradients])
    assert any(seen) == used
    return found


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("shape", [name for name in LAYERS if name not in ("dilated", "in groups")])
def test_the_product_is_pefts(shape: str, dropout: float, monkeypatch: pytest.MonkeyPatch) -> None:
    found = both(make(shape, dropout), torch.randn(LAYERS[shape][1]), monkeypatch)
    for one, other in zip(*found, strict=True):
        assert float((one - other).abs().max()) <= 1e-5 * float(other.abs().max())


@pytest.mark.parametrize("shape", ["linear", "1×1", "3×3", "strided"])
@pytest.mark.parametrize(("weights", "inputs"), itertools.product([torch.float32, torch.bfloat16], repeat=2))
def test_under_autocast_it_is_as_near_to_float32_as_pefts(
    shape: str, weights: torch.dtype, inputs: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x = make(shape, dtype=weights), torch.randn(LAYERS[shape][1]).to(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = both(layer, x, monkeypatch)
    layer.base_layer.float()
    exact = both(layer, x.float(), monkeypatch)[1]
    assert found[0][0].dtype == found[1][0].dtype == torch.bfloat16
    for one, other, wanted in zip(*found, exact, strict=True):
        errors = [float((value.float() - wanted).norm()) / float(wanted.norm()) for value in (one, other)]
        assert errors[0] <= max(1.3 * errors[1], 1e-3) and errors[1] < 0.02


def test_peft_computes_what_the_one_product_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(LAYERS["linear"][1])
    hooked = make("linear")
    heard: list[int] = []
    hooked.base_layer.register_forward_hook(lambda *_: heard.append(1))
    stacked = _lora(make("linear"), AdapterConfig(2, 2.0), torch.Generator().manual_seed(4)).train()
    stacked.base_layer.requires_grad_(False)
    for layer in (hooked, stacked, make("linear", rank_dropout=0.5)):
        if layer is stacked:  # the lower one is a plain layer's, and is one product
            monkeypatch.setattr(lora_products, "is_plain", lambda _: False)
        assert all(torch.equal(one, other) for one, other in zip(*both(layer, x, monkeypatch, used=False), strict=True))
        monkeypatch.undo()
    assert heard
    half, wide = make("linear", dtype=torch.float16), torch.randn(2, 70, 48)
    assert torch.equal(half(wide.half()), by_peft(half, wide.half()))


@pytest.mark.parametrize("shape", ["linear", "1×1", "3×3"])
def test_a_stack_of_two_answers_as_both_changes_together(shape: str) -> None:
    lower = make(shape)
    upper = _lora(lower, AdapterConfig(2, 2.0), torch.Generator().manual_seed(4)).eval()
    with torch.no_grad():
        up = upper.lora_B["default"].weight
        up.copy_(0.1 * torch.randn(up.shape))
        weight = lower.base_layer.weight + lower.get_delta_weight("default") + upper.get_delta_weight("default")
        whole = LAYERS[shape][0]()
        whole.load_state_dict({**lower.base_layer.state_dict(), "weight": weight})
        x = torch.randn(LAYERS[shape][1])
        assert torch.allclose(upper(x), whole(x), rtol=1e-5, atol=1e-5)


def test_without_training_there_is_no_dropout() -> None:
    layer, x = make("linear", 0.5, rank_dropout=0.5).eval(), torch.randn(LAYERS["linear"][1])
    torch.manual_seed(1)
    assert torch.equal(layer(x), layer(x)) and torch.allclose(layer(x), by_peft(layer, x), atol=1e-6)
    assert isinstance(layer.lora_dropout["default"], nn.Dropout)
