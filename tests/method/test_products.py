"""Adapters' products are those of their plain formulas, W·x and ΔW·x apart: the answer, and every gradient."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sdft_ext.method.products import is_plain
from sdft_ext.method.weight_deltas import DeltaLayer, first_values

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(48, 40), (2, 70, 48)),
    "linear without bias, of rows": (lambda: nn.Linear(48, 40, bias=False), (5, 48)),
    "1×1": (lambda: nn.Conv2d(48, 40, 1), (2, 48, 9, 7)),
    "3×3": (lambda: nn.Conv2d(24, 40, 3, padding=1), (2, 24, 9, 7)),
    "strided": (lambda: nn.Conv2d(24, 40, 3, stride=2, padding=1), (2, 24, 9, 8)),
    "1×1 strided": (lambda: nn.Conv2d(48, 40, 1, stride=2), (1, 48, 9, 9)),
    "dilated": (lambda: nn.Conv2d(24, 20, 3, padding=2, dilation=2), (1, 24, 9, 7)),
    "in groups": (lambda: nn.Conv2d(24, 40, 3, padding=1, groups=2), (1, 24, 8, 8)),
}
KINDS = ("dora", "loha", "lokr", "lokr in factors", "loha of a high rank")


def possible(kind: str, shape: str) -> bool:
    """Tell whether the shape can have this kind: LoKr's tensors are split for the whole input, not for a group's."""
    return shape != "in groups" or not kind.startswith("lokr")


def make(kind: str, base: nn.Module, **settings: float) -> DeltaLayer:
    """Make a layer in training whose tensors have moved, at a strength that isn't 1."""
    base.requires_grad_(False)
    name, _, form = kind.partition(" ")
    rank = {"in factors": 2, "of a high rank": 12}.get(form, 3)
    values = first_values(name, base, 30 if kind == "lokr" else rank, 4, torch.Generator().manual_seed(1))
    draws = torch.Generator().manual_seed(2)
    moved = {name: value + 0.1 * torch.randn(value.shape, generator=draws) for name, value in values.items()}
    return DeltaLayer(base, moved, 0.7, **settings).train()


def plain(layer: DeltaLayer, x: Tensor) -> Tensor:
    """Compute base(x) + ΔW·x from the whole matrix, with dropout's draws in the order of the layer's own."""
    base: Any = layer.base_layer
    kept = layer._draw_kept() if layer.rank_dropout else None
    read = functional.dropout(x, layer.dropout) if layer.dropout else x
    delta = layer.delta(kept=kept) * layer.strength
    result: Tensor = base(x)
    while isinstance(base, DeltaLayer):
        base = base.base_layer
    if isinstance(base, nn.Linear):
        return result + functional.linear(read, delta)
    return result + functional.conv2d(read, delta, None, base.stride, base.padding, base.dilation, base.groups)


def compare(layer: DeltaLayer, x: Tensor, share: float, wanted_layer: DeltaLayer | None = None) -> None:
    """Compare answers and gradients, each within a share of its largest number."""
    found = []
    for compute in (layer, lambda x: plain(wanted_layer or layer, x)):
        torch.manual_seed(7)
        leaf = x.clone().requires_grad_()
        answer = compute(leaf)
        probe = torch.randn(answer.shape, generator=torch.Generator().manual_seed(3))
        own = (wanted_layer or layer) if compute is not layer else layer
        gradients = torch.autograd.grad((answer.float() * probe).sum(), [leaf, *own.values])
        assert gradients[0].dtype == x.dtype
        found.append([answer.detach().float(), *(gradient.float() for gradient in gradients)])
    for place, (one, other) in enumerate(zip(*found, strict=True)):
        assert one.shape == other.shape
        assert float((one - other).abs().max()) <= share * float(other.abs().max()), (place, one, other)


@pytest.mark.parametrize(("kind", "shape"), [pair for pair in itertools.product(KINDS, LAYERS) if possible(*pair)])
@pytest.mark.parametrize("dropout", ["", "dropout", "rank_dropout", "both"])
def test_a_product_is_its_formulas(kind: str, shape: str, dropout: str) -> None:
    torch.manual_seed(0)
    made, size = LAYERS[shape]
    both = {"dropout": 0.3, "rank_dropout": 0.3}
    settings = both if dropout == "both" else {name: both[name] for name in [dropout] if name}
    compare(make(kind, made(), **settings), torch.randn(size), 1e-5)


@pytest.mark.parametrize("shape", [name for name in LAYERS if name != "in groups"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inputs", [torch.float32, torch.bfloat16])
def test_a_product_under_autocast_is_near_float32(
    kind: str, shape: str, weights: torch.dtype, inputs: torch.dtype
) -> None:
    """Against the formula in float32: no further from it than bfloat16's rounding."""
    torch.manual_seed(0)
    made, size = LAYERS[shape]
    base = made().to(weights)
    exact = made()
    exact.load_state_dict({name: value.float() for name, value in base.state_dict().items()})
    layer, wanted = make(kind, base), make(kind, exact)
    with torch.no_grad():
        for one, other in zip(layer.values, wanted.values, strict=True):
            other.copy_(one)
    x = torch.randn(size).to(inputs)
    found = []
    for compute, own, leaf in ((layer, layer, x), (lambda x: plain(wanted, x), wanted, x.float())):
        leaf = leaf.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=own is layer):
            answer = compute(leaf)
        assert own is wanted or answer.dtype == torch.bfloat16
        probe = torch.randn(answer.shape, generator=torch.Generator().manual_seed(3))
        gradients = torch.autograd.grad((answer.float() * probe).sum(), [leaf, *own.values])
        assert gradients[0].dtype == leaf.dtype and all(gradient.dtype == torch.float32 for gradient in gradients[1:])
        found.append([answer.detach(), *gradients])
    for place, (one, other) in enumerate(zip(*found, strict=True)):
        assert float((one.float() - other).norm()) <= 0.02 * float(other.norm()), place


@pytest.mark.parametrize("shape", ["linear", "1×1", "strided"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("under", KINDS[:3])
def test_a_product_on_another_change_is_its_formulas(kind: str, under: str, shape: str) -> None:
    """The lower layer's answer is the upper one's base, and DoRA's lengths are those of both together."""
    torch.manual_seed(0)
    made, size = LAYERS[shape]
    compare(make(kind, make(under, made())), torch.randn(size), 1e-5)


@pytest.mark.parametrize("shape", ["linear", "1×1", "3×3"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_strength_multiplies_a_product(kind: str, shape: str) -> None:
    torch.manual_seed(0)
    made, size = LAYERS[shape]
    layer = make(kind, made())
    layer.strength = 0.6
    compare(layer, torch.randn(size), 1e-5)


@pytest.mark.parametrize("shape", ["1×1", "3×3"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_product_of_channels_last_is_its_formulas(kind: str, shape: str) -> None:
    torch.manual_seed(0)
    made, size = LAYERS[shape]
    compare(
        make(kind, made().to(memory_format=torch.channels_last)),
        torch.randn(size).contiguous(memory_format=torch.channels_last),
        1e-5,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["linear", "1×1", "3×3"])
def test_inputs_need_not_be_contiguous(kind: str, name: str) -> None:
    """``proj_in`` of SDXL and SD 2 gets a turned view of a picture where the batch is one."""
    torch.manual_seed(0)
    made, size = LAYERS[name]
    if name == "linear":
        x = torch.randn(1, 48, 9, 7).permute(0, 2, 3, 1).reshape(1, 63, 48)
    else:
        x = torch.randn(size[0], size[1], size[3], size[2]).transpose(2, 3)
    assert not x.is_contiguous()
    compare(make(kind, made()), x, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing_gives_the_same_gradients_to_the_bit(kind: str) -> None:
    from torch.utils.checkpoint import checkpoint

    layer = make(kind, nn.Conv2d(24, 40, 3, padding=1), dropout=0.3, rank_dropout=0.3)
    x = torch.randn(2, 24, 9, 7, generator=torch.Generator().manual_seed(0))
    found = []
    for run in (layer, lambda x: checkpoint(layer, x, use_reentrant=False)):
        torch.manual_seed(7)
        leaf = x.clone().requires_grad_()
        layer.zero_grad()
        run(leaf).square().sum().backward()
        found.append([leaf.grad, *(value.grad.clone() for value in layer.values)])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("shape", ["linear", "1×1", "3×3"])
def test_a_new_dora_answers_as_its_base_to_the_bit(shape: str) -> None:
    torch.manual_seed(0)
    made, size = LAYERS[shape]
    base = made().requires_grad_(False)
    layer, x = (
        DeltaLayer(base, first_values("dora", base, 4, 0, torch.Generator().manual_seed(1)), 1.0),
        torch.randn(size),
    )
    assert torch.equal(layer(x), base(x))


def test_a_column_that_cancels_out_has_a_length_and_gradients() -> None:
    base = nn.Linear(6, 5).requires_grad_(False)
    with torch.no_grad():
        base.weight[:, 2] = 0
    values = first_values("dora", base, 5, 0, torch.Generator().manual_seed(1))
    with torch.no_grad():
        values["lora_up.weight"].copy_(torch.eye(5))
        values["lora_down.weight"].copy_(-base.weight)
        values["lora_down.weight"][:, :4] *= 0.5
    layer = DeltaLayer(base, values, 1.0)
    x = torch.randn(3, 6, requires_grad=True)
    layer(x).sum().backward()
    assert all(bool(torch.isfinite(value.grad).all()) for value in layer.values) and bool(torch.isfinite(x.grad).all())


def test_lengths_follow_a_weight_that_changes() -> None:
    base = nn.Linear(6, 5).requires_grad_(False)
    layer, x = make("dora", base), torch.randn(3, 6)
    compare(layer, x, 1e-5)
    with torch.no_grad():
        base.weight.mul_(2)
    compare(layer, x, 1e-5)
    base.weight = nn.Parameter(torch.randn(5, 6), requires_grad=False)
    compare(layer, x, 1e-5)


def test_a_layer_with_hooks_is_called_itself() -> None:
    """Whoever listens to a borrowed layer hears it, whatever the adapter around it computes."""
    for kind in KINDS:
        base, seen = nn.Linear(12, 8), []
        layer = make(kind, base)
        assert is_plain(base)
        hook = base.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        assert not is_plain(base)
        compare(layer, torch.randn(3, 12), 1e-5)
        assert seen
        hook.remove()
        base.forward = lambda x: torch.zeros(3, 8)  # type: ignore[method-assign]
        assert not is_plain(base)
