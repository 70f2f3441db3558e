"""Layers of LoRA's family compute what their formulas say: forward, backward, dropout, caps, sizes."""

import math

import pytest
import torch
from torch.nn import functional

from sdft_ext.formats.lycoris import LycorisLayer
from sdft_ext.method.adapters import AdapterConfig, Adapters
from sdft_ext.method.sizes import numbers, split
from sdft_ext.method.weight_deltas import DeltaLayer, column_lengths, difference, effective_weight, first_values
from sdft_ext.model.base import Model
from tests.method.adapted import KERNEL, KINDS, LINEAR, Attached, near, recipe


@pytest.mark.parametrize("kind", ["dora", "loha", "lokr"])
@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_no_second_weight_is_kept_for_the_gradients(kind, compute):
    """The change of weight is as large as the weight: of a large model's, all at once would take gigabytes. And what is
    computed again gives the gradients that plain algebra has, of x too, with rank dropout's draws.
    """
    torch.manual_seed(0)
    for base, x in (
        (torch.nn.Linear(192, 160), torch.randn(2, 3, 192)),
        (torch.nn.Conv2d(96, 64, 3, stride=2, padding=1), torch.randn(2, 96, 8, 8)),
    ):
        base.requires_grad_(False)
        first = first_values(kind, base, 4, 8, torch.Generator().manual_seed(1))
        values = {name: value + 0.1 * torch.randn(value.shape) for name, value in first.items()}
        layer, x = DeltaLayer(base, values, 0.5, rank_dropout=0.3).train(), x.requires_grad_(True)
        kept: list[int] = []

        def pack(tensor, kept=kept):
            kept.append(tensor.numel())
            return tensor

        with torch.autocast("cpu", compute, enabled=compute != torch.float32):
            torch.manual_seed(5)
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                answer = layer(x)
            # The borrowed layer's own weight is there anyway; autocast copies it.
            assert sum(count >= base.weight.numel() for count in kept) <= 1
            torch.manual_seed(5)
            change = layer.delta(kept=layer._draw_kept())
            if x.ndim == 3:
                plain = base(x) + functional.linear(x, change)
            else:
                plain = base(x) + functional.conv2d(x, change, stride=2, padding=1)
        close = {"rtol": 1e-5, "atol": 1e-5} if compute == torch.float32 else {"rtol": 0.05, "atol": 0.05}
        assert torch.allclose(answer, plain, **close)
        for one, other in zip(
            *(torch.autograd.grad((out.float() ** 2).mean(), [x, *layer.values]) for out in (answer, plain)),
            strict=True,
        ):
            assert one.dtype == other.dtype and near(
                one, other, torch.zeros_like(other), 1e-4 if compute == torch.float32 else 0.05
            )


@pytest.mark.parametrize("kind", ["dora", "loha", "lokr"])
def test_gradients_go_on_through_a_layer_that_does_not_train(kind):
    for base, x in ((torch.nn.Linear(16, 12), torch.randn(3, 16)), (torch.nn.Conv2d(4, 6, 3), torch.randn(2, 4, 8, 8))):
        layer = DeltaLayer(base, first_values(kind, base, 2, 4, torch.Generator().manual_seed(1)), 0.5)
        layer.requires_grad_(False)
        layer(x.requires_grad_(True)).sum().backward()
        assert x.grad is not None and x.grad.abs().sum() > 0


def test_dora_gives_the_changed_weight_its_lengths(model):
    with Attached(model, recipe("dora")) as method:
        for name in (LINEAR, KERNEL):
            layer = method.adapters.layers[name]
            lengths = column_lengths(effective_weight(layer))
            assert torch.allclose(lengths, layer.tensors()["dora_scale"].detach().abs(), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [LINEAR, KERNEL])
def test_a_layer_is_its_changed_weight(model, kind, layer):
    """Forward, and the gradients of every trained tensor, against torch's own of the plain formula in float64."""
    with Attached(model, recipe(kind)) as method:
        module = method.adapters.layers[layer]
        x = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(1))
        probe = torch.randn(module(x).shape, generator=torch.Generator().manual_seed(2))
        (module(x) * probe).sum().backward()
        tensors = {name: tensor.detach().double().requires_grad_() for name, tensor in module.tensors().items()}
        base = module.base_layer
        weight = base.weight.double()
        change = formula(tensors, weight.shape) * module.scale
        if "dora_scale" in tensors:
            lengths = (weight + change).detach().square().sum([0, 2, 3], keepdim=True).sqrt()
            change = (weight + change) * tensors["dora_scale"] / lengths - weight
        wanted = functional.conv2d(x.double(), weight + change, base.bias.double(), base.stride, base.padding)
        assert torch.allclose(module(x).double(), wanted, rtol=1e-4, atol=1e-4)
        (wanted * probe).sum().backward()
        for name, tensor in module.tensors().items():
            largest = float(tensors[name].grad.abs().max())
            assert torch.allclose(tensor.grad.double(), tensors[name].grad, rtol=1e-3, atol=1e-4 * largest), name


def formula(tensors, shape):
    if "hada_w1_a" in tensors:
        first, second = (tensors[f"hada_w{n}_a"] @ tensors[f"hada_w{n}_b"] for n in (1, 2))
        return (first * second).reshape(shape)
    if "lokr_w1" in tensors:
        w2 = tensors["lokr_w2"] if "lokr_w2" in tensors else tensors["lokr_w2_a"] @ tensors["lokr_w2_b"]
        w1, w2 = tensors["lokr_w1"], w2.reshape(w2.shape[0], -1, *shape[2:])
        return torch.einsum("ab,cdxy->acbdxy", w1, w2).reshape(shape)
    return torch.einsum("or,rixy->oixy", tensors["lora_up.weight"].flatten(1), tensors["lora_down.weight"])


@pytest.mark.parametrize("kind", KINDS)
def test_over_a_half_precision_base_small_changes_count(kind):
    """The change is applied apart from the weight: added to a bfloat16 weight of 1, 0.001 would be rounded away."""
    base = torch.nn.Linear(64, 48, bias=False).to(torch.bfloat16).requires_grad_(False)
    base.weight.fill_(1.0)
    draws = torch.Generator().manual_seed(1)
    first = first_values(kind, base, 4, 0, draws)
    moved = {name: tensor + 1e-3 * torch.randn(tensor.shape, generator=draws) for name, tensor in first.items()}
    layer = DeltaLayer(base, moved, 1.0)
    half = torch.randint(-8, 9, (200, 32), generator=draws).bfloat16()
    x = torch.cat([half, -half], 1)  # what the base makes 0 of
    assert not base(x).any()
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    wanted = x.float() @ layer.delta().detach().T
    assert found.dtype == torch.bfloat16 and float(layer.delta().detach().abs().max()) < 2e-2
    assert float((found.detach().float() - wanted).norm()) < 0.02 * float(wanted.norm())


@pytest.mark.parametrize("factor", [0, 4, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_counts_what_is_trained(model, kind, factor):
    with Attached(model, recipe(kind, factor=factor)) as method:
        for name, tensors in method.adapters.tensors().items():
            shape = tuple(method.adapters.weight_shapes()[name])
            rank = method.adapters.shapes[name].rank
            assert sum(tensor.numel() for tensor in tensors.values()) == numbers(kind, shape, rank, factor), name


def test_sides_are_split_as_peft_and_lycoris_split_them():
    from peft.tuners.lokr.layer import factorization

    for side in [*range(1, 200), 320, 640, 768, 1280, 2048, 5120, 10240]:
        for factor in (0, 1, 2, 3, 4, 8, 12, 16, 40, 1024):
            assert split(side, factor) == tuple(sorted(factorization(side, factor or -1))), (side, factor)


def test_the_factor_splits_the_sides(model):
    with Attached(model, recipe("lokr", factor=4)) as method:
        assert method.adapters.tensors()[KERNEL]["lokr_w1"].shape == (4, 4)
    with Attached(model, recipe("lokr")) as method:
        assert method.adapters.tensors()[KERNEL]["lokr_w1"].shape == (8, 8)


@pytest.mark.parametrize("kind", ["lora", *KINDS])
def test_the_cap_shrinks_only_layers_that_are_too_long(model, kind):
    with Attached(model, recipe(kind)) as method:
        adapters = method.adapters
        shapes = adapters.weight_shapes()

        @torch.no_grad()
        def lengths():
            return {
                name: float(difference(own, torch.Size(shapes[name])).norm()) * adapters.shapes[name].scale
                for name, own in adapters.tensors().items()
            }

        before = lengths()
        cap = sorted(before.values())[len(before) // 2]
        magnitudes = {n: own["dora_scale"].clone() for n, own in adapters.tensors().items() if "dora_scale" in own}
        kept = {name: [t.clone() for t in own.values()] for name, own in adapters.tensors().items()}
        method.recipe.method.lora.norm_cap = cap
        method.after_step()
        for name, length in lengths().items():
            assert length == pytest.approx(min(before[name], cap), rel=1e-3)
            if before[name] < cap * 0.999:
                now = adapters.tensors()[name].values()
                assert all(torch.equal(a, b) for a, b in zip(kept[name], now, strict=True))
        for name, magnitude in magnitudes.items():
            assert torch.equal(adapters.tensors()[name]["dora_scale"], magnitude)


@pytest.mark.parametrize("kind", ["lora", *KINDS])
def test_a_cap_that_no_layer_reaches_writes_nothing(model, kind):
    """Times 1 isn't always 1: cap / cap, or its root, comes out one bit lower on some processors."""
    with Attached(model, recipe(kind, norm_cap=1e9)) as method:
        written = {name: tensor._version for name, tensor in method.state().items()}
        method.after_step()
        assert {name: tensor._version for name, tensor in method.state().items()} == written
        method.recipe.method.lora.norm_cap = 1e-9
        method.after_step()
        assert {name for name, tensor in method.state().items() if tensor._version == written[name]} == {
            name for name in written if name.endswith("dora_scale")
        }


@pytest.mark.parametrize("kind", ["lora", *KINDS])
def test_rank_dropout_leaves_out_in_training_only_and_keeps_the_mean(kind):
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(24, 20).requires_grad_(False))
    model, shape = Model(None, base, base, [], [], None), AdapterConfig(4, 4.0, rank_dropout=0.5, kind=kind)  # type: ignore[arg-type]
    adapters = Adapters(model, {"unet.0": shape})
    with torch.no_grad():
        for name, tensor in adapters.tensors()["unet.0"].items():
            tensor.add_(0.1 * torch.randn(tensor.shape) if name != "dora_scale" else 0)
    x = torch.randn(3, 24)
    base.eval()
    assert torch.equal(base(x), base(x))
    whole = base(x).detach()
    base.train()
    drawn = torch.stack([base(x).detach() for _ in range(2000)])
    assert not torch.equal(drawn[0], drawn[1])
    if kind != "dora":  # whose lengths are no straight line of its ranks
        assert torch.allclose(drawn.mean(0), whole, atol=4 * float(drawn.std(0).max()) / math.sqrt(2000))
    adapters.remove()
    assert isinstance(base[0], torch.nn.Linear)


def test_rank_dropout_of_a_convolution_drops_whole_channels_for_each_picture():
    base = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, bias=False).requires_grad_(False))
    model = Model(None, base, base, [], [], None)  # type: ignore[arg-type]
    adapters = Adapters(model, {"unet.0": AdapterConfig(4, 4.0, rank_dropout=0.5)})
    seen = []
    adapters.layers["unet.0"].lora_B["default"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    base.train()
    base(torch.randn(8, 3, 6, 6))
    dropped = (seen[0] == 0).flatten(2).all(2)
    assert ((seen[0] == 0).flatten(2).any(2) == dropped).all(), "a channel is dropped whole or not at all"
    assert len({tuple(row.tolist()) for row in dropped}) > 1, "each picture has its own"


def test_a_layer_of_a_file_knows_its_rank_and_strength():
    loha = LycorisLayer({"hada_w1_a": torch.ones(6, 2), "hada_w1_b": torch.ones(2, 6)}, 1.0)
    assert loha.rank == 2 and loha.scale == 0.5
    whole = LycorisLayer({"lokr_w1": torch.ones(2, 3), "lokr_w2": torch.ones(4, 5)}, 9.0)
    assert whole.scale == 1.0 and whole.rank == 8 and whole.fits((8, 15)) and not whole.fits((15, 8))
    both = LycorisLayer(
        {"lokr_w1_a": torch.ones(2, 3), "lokr_w1_b": torch.ones(3, 2), "lokr_w2": torch.ones(4, 5)}, 1.5
    )
    assert both.rank == 3 and both.scale == 0.5
