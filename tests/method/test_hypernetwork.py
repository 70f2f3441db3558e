"""Hypernetworks: the WebUI's architecture and file, attached to the borrowed model and detached again."""

import itertools
import zipfile

import pytest
import torch
from torch.nn import functional

from sdft_ext.formats import hypernetwork as files
from sdft_ext.formats.hypernetwork import HypernetworkFileError, Structure
from sdft_ext.method.base import MethodError
from sdft_ext.method.hypernetwork import HypernetworkMethod, Network, widths
from sdft_ext.method.sizes import network_numbers
from sdft_ext.model import borrow, text
from sdft_ext.model.base import Model, predict
from sdft_ext.recipe import HypernetworkRecipe, Recipe
from tests.model import ldm

NOISE, TIMES = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500])


def build(**unet: object) -> Model:
    family = ldm.family("sd1")
    family.unet.update(unet)
    return borrow.build(family, ldm.state_dict(family))


@pytest.fixture(scope="module")
def model():
    return build()


def recipe(**settings: object) -> Recipe:
    made = Recipe()
    made.method.name = "hypernetwork"
    made.method.hypernetwork = HypernetworkRecipe(**settings)
    return made


@torch.no_grad()
def answer(model: Model) -> torch.Tensor:
    return predict(model, NOISE, TIMES, text.encode(model, ["a cat"]))


def attached(model: Model, **settings: object) -> HypernetworkMethod:
    """With weights as after training."""
    method, generator = HypernetworkMethod(), torch.Generator().manual_seed(1)
    method.attach(model, recipe(**settings))
    with torch.no_grad():
        for value in method.state().values():
            value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return method


KINDS = [
    {},
    {"layer_structure": "1, 2, 2, 1", "activation": "swish", "layer_norm": True, "init": "KaimingNormal"},
    {"layer_structure": "1, 1.5, 1", "activation": "leakyrelu", "activate_last": True, "init": "XavierUniform"},
    {"layer_structure": "1, 2, 1", "activation": "relu", "dropout": "0, 0.3, 0", "sizes": "64"},
]


@pytest.mark.parametrize("settings", KINDS)
def test_the_file_answers_as_memory_does(model, settings, tmp_path):
    plain, method = answer(model), attached(model, **settings)
    expected = answer(model)
    with method.without():
        assert torch.equal(answer(model), plain)
    assert torch.equal(answer(model), expected) and not torch.allclose(expected, plain, rtol=1e-2)
    method.save(tmp_path / "h.pt", {"ss_steps": "7"}, "fp32")
    method.detach()
    assert torch.equal(answer(model), plain)
    with HypernetworkMethod().applied(tmp_path / "h.pt", model):
        assert torch.equal(answer(model), expected)
    with HypernetworkMethod().applied(tmp_path / "h.pt", model, 0.0):
        assert torch.allclose(answer(model), plain, atol=1e-6)
    assert torch.equal(answer(model), plain)
    assert not any(part._forward_pre_hooks for root in model.modules for part in root.modules())


def test_keys_and_values_have_networks_of_their_own(model):
    """Written out: k and v of each attention are made of x + network(x)."""
    method = attached(model, sizes="64")
    keys, values = method.networks.pairs[64]
    attention = model.unet.mid_block.attentions[0].transformer_blocks[0].attn2
    words = torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        weight_k, weight_v = attention.to_k.weight, attention.to_v.weight
        assert torch.allclose(attention.to_k(words), (words + keys.linear(words)) @ weight_k.T, atol=1e-5)
        assert torch.allclose(attention.to_v(words), (words + values.linear(words)) @ weight_v.T, atol=1e-5)
        assert torch.equal(attention.to_q(words), functional.linear(words, attention.to_q.weight))
    assert list(method.networks.pairs) == [64] and set(widths(model)) == {32, 64}
    method.detach()


@pytest.mark.parametrize("settings", KINDS)
def test_only_the_networks_train(model, settings):
    method = attached(model, **settings)
    before = {name: value.clone() for name, value in method.state().items()}
    (group,) = method.groups()
    optimizer = torch.optim.AdamW(group.parameters, lr=1e-2)
    model.unet.train()
    with torch.no_grad():
        context = text.encode(model, ["a cat"])
    predict(model, NOISE, TIMES, context).square().sum().backward()
    model.unet.eval()
    assert all(value.grad is not None for value in group.parameters)
    optimizer.step()
    assert any((value != before[name]).any() for name, value in method.state().items())
    assert sum(value.numel() for value in group.parameters) == sum(
        network_numbers(width, method._structure.layers, method._structure.layer_norm)
        for width in method.networks.pairs
    )
    assert all(value.grad is None and not value.requires_grad for part in model.modules for value in part.parameters())
    assert method.uses_global_rng == bool(settings.get("dropout"))
    method.detach()


def test_first_weights_come_from_the_seed_alone(model):
    found = []
    for seed, noise in ((1, 5), (1, 6), (2, 6)):
        torch.manual_seed(noise)
        made, method = recipe(), HypernetworkMethod()
        made.train.seed = seed
        method.attach(model, made)
        found.append({name: value.clone() for name, value in method.state().items()})
        method.detach()
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())
    assert any(not torch.equal(value, found[2][name]) for name, value in found[0].items())
    weights = [value for name, value in found[0].items() if name.endswith("weight")]
    assert all(0.008 < float(value.std()) < 0.012 for value in weights)


def test_numbers_of_layers_are_the_webui_s():
    """Its Sequential counts linear, activation, norm, dropout in this order; no activation after the last unless
    asked.
    """

    def names(**settings: object) -> set[str]:
        made = Structure(**{"dropout": (0, 0, 0), **settings})  # type: ignore[arg-type]
        return {name.rpartition(".")[0] for name in Network(8, made).state_dict()}

    assert names() == {"linear.0", "linear.1"}
    assert names(activation="relu") == {"linear.0", "linear.2"}
    assert names(activation="relu", layer_norm=True) == {"linear.0", "linear.2", "linear.3", "linear.4"}
    assert names(activation="relu", dropout=(0, 0.1, 0)) == {"linear.0", "linear.3"}


def test_the_archive_holds_what_the_webui_lets_through(model, tmp_path):
    method = attached(model)
    method.save(tmp_path / "h.pt", {"ss_steps": "7", "ss_sd_model_name": "base.safetensors"}, "fp16")
    method.detach()
    names = zipfile.ZipFile(tmp_path / "h.pt").namelist()
    assert all(
        name.partition("/")[2] in ("data.pkl", "version", "byteorder", ".data/serialization_id") or "/data/" in name
        for name in names
    )
    content = torch.load(tmp_path / "h.pt", weights_only=True)
    assert content["name"] == "h" and content["step"] == 7 and content["sd_checkpoint_name"] == "base"
    assert content["layer_structure"] == [1, 2, 1] and content["dropout_structure"] == [0, 0, 0]
    first = content[64][0]
    assert list(first) == ["linear.0.weight", "linear.0.bias", "linear.1.weight", "linear.1.bias"]
    assert first["linear.0.weight"].dtype == torch.float16 and tuple(first["linear.0.weight"].shape) == (128, 64)


def test_old_files_of_the_webui_are_read(model, tmp_path):
    """Of its first days: no settings, and other names of layers; activations and dropout by their old rules."""
    one = {"linear1.weight": torch.zeros(128, 64), "linear1.bias": torch.zeros(128)}
    one |= {"linear2.weight": torch.zeros(64, 128), "linear2.bias": torch.ones(64)}
    torch.save({64: (one, dict(one)), "step": 3, "name": "old"}, tmp_path / "old.pt")
    found = files.read(tmp_path / "old.pt")
    assert found.structure == Structure(activate_last=True) and found.step == 3
    plain = answer(model)
    with HypernetworkMethod().applied(tmp_path / "old.pt", model):
        assert not torch.allclose(answer(model), plain, rtol=1e-2)
    assert files.old_dropout(4, {"use_dropout": True}) == (0.0, 0.3, 0.0, 0.0)
    assert files.old_dropout(4, {"use_dropout": True, "last_layer_dropout": True}) == (0.0, 0.3, 0.3, 0.0)


def test_what_does_not_fit_is_refused_in_a_sentence(model, tmp_path):
    with pytest.raises(MethodError, match="names 768, which no attention of this model has: use some of 64, 32"):
        HypernetworkMethod().attach(model, recipe(sizes="64, 768"))
    torch.save({768: ({}, {})}, tmp_path / "wide.pt")
    with (
        pytest.raises(HypernetworkFileError, match="another kind of model"),
        HypernetworkMethod().applied(tmp_path / "wide.pt", model),
    ):
        pass
    torch.save({64: ({}, {})}, tmp_path / "empty.pt")
    with pytest.raises(HypernetworkFileError, match=r"empty\.pt is damaged"):
        HypernetworkMethod().attach(model, recipe(continue_from=str(tmp_path / "empty.pt")))
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(HypernetworkFileError, match="is not a hypernetwork"):
        files.read(tmp_path / "other.pt")
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(HypernetworkFileError, match="can't be read"):
        files.read(tmp_path / "bad.pt")
    assert not any(part._forward_pre_hooks for part in model.unet.modules())


def test_a_network_that_is_no_longer_finite_is_not_written(model, tmp_path):
    method = attached(model)
    for value in itertools.islice(method.state().values(), 1):
        value.fill_(1e6)
    with pytest.raises(HypernetworkFileError, match="not finite in fp16"):
        method.save(tmp_path / "h.pt", {}, "fp16")
    assert not list(tmp_path.iterdir())
    method.detach()
