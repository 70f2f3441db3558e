"""LyCORIS' own package makes the same change of every weight from our files. Run where ``lycoris_lora`` is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sdft_ext.formats import kohya
from sdft_ext.method import METHODS
from sdft_ext.method.adapters import wrappable
from sdft_ext.method.changes import effective_weight
from sdft_ext.method.lora import applied
from sdft_ext.model import borrow
from sdft_ext.recipe import Recipe
from tests.model import ldm

modules = pytest.importorskip("lycoris.modules", reason="LyCORIS isn't installed: pip install lycoris_lora einops toml")


@pytest.mark.parametrize(("rank", "factor"), [(2, 0), (2, 4), (16, 0)])
@pytest.mark.parametrize("kind", ["lora", "dora", "loha", "lokr"])
def test_lycoris_rebuilds_the_change(tmp_path: Path, kind: str, rank: int, factor: int) -> None:
    family = ldm.family("sd1")
    model = borrow.build(family, ldm.state_dict(family))
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
                found = theirs(tensors, kohya.file_name(name, family), layers[name])
                assert float((found - wanted).abs().max()) < 1e-5 * float(wanted.abs().max()), name
                seen += 1
    assert seen == len({key.partition(".")[0] for key in tensors}) > 100


@torch.no_grad()
def theirs(tensors: dict[str, torch.Tensor], root: str, layer: torch.nn.Module) -> torch.Tensor:
    """The change of one layer's weight, as LyCORIS makes it."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    if f"{root}.dora_scale" not in tensors:
        module = modules.make_module(*modules.get_module(tensors, root), root, layer)
        found: torch.Tensor = module.get_diff_weight(1.0, shape=weight.shape)[0]
        return found
    # Its loader takes every DoRA for one with a magnitude per output (wd_on_out=True): told otherwise, as a trainer does.
    own = {key.removeprefix(f"{root}."): value for key, value in tensors.items() if key.startswith(f"{root}.")}
    module = modules.LoConModule(
        root, layer, 1.0, len(own["lora_down.weight"]), float(own["alpha"]), weight_decompose=True, wd_on_out=False
    )
    module.load_state_dict(own, strict=False)
    merged: torch.Tensor = module.get_merged_weight(1.0, shape=weight.shape)[0]
    return merged - weight
