"""LyCORIS' own package makes the same change of every weight from our files, and we from its."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lycoris import modules
from safetensors.torch import load_file, save_file

from sdft_ext.formats import kohya
from sdft_ext.method import METHODS
from sdft_ext.method.adapters import wrappable
from sdft_ext.method.lora import applied
from sdft_ext.method.weight_deltas import effective_weight
from sdft_ext.model import borrow
from sdft_ext.model.base import Model
from sdft_ext.recipe import Recipe
from tests.model import ldm


@pytest.fixture(scope="module")
def model() -> Model:
    family = ldm.family("sd1")
    return borrow.build(family, ldm.state_dict(family))


FEED_FORWARD = "attentions.0.transformer_blocks.0.ff.net.2"


@pytest.mark.parametrize(("rank", "factor"), [(2, 0), (2, 4), (16, 0)])
@pytest.mark.parametrize("kind", ["lora", "dora", "loha", "lokr"])
def test_lycoris_rebuilds_the_change(model: Model, tmp_path: Path, kind: str, rank: int, factor: int) -> None:
    layers = dict(wrappable(model))
    recipe, method = Recipe(), METHODS[kind]()
    recipe.method.name = kind  # type: ignore[assignment]
    recipe.method.lora.rank, recipe.method.lora.alpha, recipe.method.lora.factor = rank, 0.6 * rank, factor
    method.attach(model, recipe)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in method.state().values():
            tensor.add_(torch.randn(tensor.shape, generator=draws) * 0.2)
    method.save(tmp_path / "x.safetensors", {}, "fp32")
    method.detach()
    tensors, seen = load_file(tmp_path / "x.safetensors"), 0
    with applied([(tmp_path / "x.safetensors", 1.0)], model):
        for part in model.unet, *model.text_encoders:
            for path, wrapped in part.named_modules():
                if "base_layer" not in wrapped._modules:
                    continue
                name = f"{'unet' if part is model.unet else 'text_encoder'}.{path}"
                wanted = effective_weight(wrapped) - layers[name].weight
                found = theirs(tensors, kohya.file_name(name, model.family), layers[name])
                assert float((found - wanted).abs().max()) < 1e-5 * float(wanted.abs().max()), name
                seen += 1
    assert seen == len({key.partition(".")[0] for key in tensors}) > 100


KINDS = {"lora": modules.LoConModule, "loha": modules.LohaModule, "lokr": modules.LokrModule}
FORMS = {
    "plain": {},
    "Tucker": {"use_tucker": True},
    "DoRA": {"weight_decompose": True, "wd_on_out": False},
    "Tucker's DoRA": {"use_tucker": True, "weight_decompose": True, "wd_on_out": False},
    "scalar": {"use_scalar": True},
    "rank-stabilized": {"rs_lora": True},
}


@torch.no_grad()
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_files_of_lycoris_are_read_and_gone_on_with(model: Model, tmp_path: Path, kind: str, form: str) -> None:
    """Convolutions of both sizes and a linear layer answer as its own modules did when the file was written."""
    layers, path, draws = dict(wrappable(model)), tmp_path / "x.safetensors", torch.Generator().manual_seed(0)
    tensors: dict[str, torch.Tensor] = {}
    expected = {}
    torch.manual_seed(0)  # what LyCORIS begins with is drawn
    for name in (f"unet.mid_block.{rest}" for rest in ("resnets.0.conv1", "attentions.0.proj_in", FEED_FORWARD)):
        root, layer = kohya.file_name(name, model.family), layers[name]
        module = KINDS[kind](root, layer, 1.0, 3, 1.5, **FORMS[form]).eval()
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draws) * 0.1)
        inputs = layer.weight.shape[1]
        x = torch.randn((2, inputs, 6, 6) if layer.weight.ndim == 4 else (2, 5, inputs), generator=draws)
        expected[name] = (x, module(x))
        assert not torch.allclose(layer(x), expected[name][1], atol=1e-3)
        tensors |= {f"{root}.{key}": value.detach().clone() for key, value in module.state_dict().items()}
    save_file(tensors, path)
    assert any(key.endswith(("lora_mid.weight", "_t1", "_t2")) for key in tensors) == ("Tucker" in form)

    def answers_the_same() -> None:
        with applied([(path, 1.0)], model):
            for name, (x, wanted) in expected.items():
                found = model.unet.get_submodule(name.removeprefix("unet."))(x)
                assert torch.allclose(found, wanted, atol=1e-5), (name, float((found - wanted).abs().max()))

    answers_the_same()
    recipe, method = Recipe(), METHODS["dora" if (kind, "DoRA" in form) == ("lora", True) else kind]()
    recipe.method.lora.layers, recipe.method.lora.continue_from = "all", str(path)
    method.attach(model, recipe)
    method.save(path, {}, "fp32")
    method.detach()
    answers_the_same()


@torch.no_grad()
def theirs(tensors: dict[str, torch.Tensor], root: str, layer: torch.nn.Module) -> torch.Tensor:
    """The change of one layer's weight, as LyCORIS makes it."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    if f"{root}.dora_scale" not in tensors:
        module = modules.make_module(*modules.get_module(tensors, root), root, layer)
        found: torch.Tensor = module.get_diff_weight(1.0, shape=weight.shape)[0]
        return found
    # Its loader takes every DoRA for one with a magnitude per output (wd_on_out=True): set otherwise, as a trainer
    # does.
    own = {key.removeprefix(f"{root}."): value for key, value in tensors.items() if key.startswith(f"{root}.")}
    module = modules.LoConModule(
        root, layer, 1.0, len(own["lora_down.weight"]), float(own["alpha"]), weight_decompose=True, wd_on_out=False
    )
    module.load_state_dict(own, strict=False)
    merged: torch.Tensor = module.get_merged_weight(1.0, shape=weight.shape)[0]
    return merged - weight
