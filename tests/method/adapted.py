"""Methods with adapters in a small model: attached and moved as training would, saved, and read by the WebUI's
formulas.
"""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from sdft_ext.formats import kohya
from sdft_ext.method import METHODS
from sdft_ext.model import borrow, text
from sdft_ext.model.base import Model, predict
from sdft_ext.recipe import Recipe
from tests.model import ldm

NOISE, TIMES = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500, 20])
IDS = torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 2)
KINDS = ("dora", "loha", "lokr")
LINEAR, KERNEL = "unet.mid_block.attentions.0.proj_in", "unet.mid_block.resnets.0.conv1"


def build(name: str = "sd1", **unet: object) -> Model:
    family = ldm.family(name)
    family.unet.update(unet)
    return borrow.build(family, ldm.state_dict(family))


def recipe(name: str, **lora: object) -> Recipe:
    made = Recipe()
    made.method.name = name
    for key, value in {"rank": 3, "alpha": 6.0, **lora}.items():
        setattr(made.method.lora, key, value)
    return made


class Attached:
    """A method in a model, every trained value moved at random as training does; taken out at the end."""

    def __init__(self, model: Model, made: Recipe, spread: float = 0.2) -> None:
        self.method, generator = METHODS[made.method.name](), torch.Generator().manual_seed(3)
        self.method.attach(model, made)
        with torch.no_grad():
            for tensor in self.method.state().values():
                tensor.add_(torch.randn(tensor.shape, generator=generator) * spread)

    def __enter__(self):
        return self.method

    def __exit__(self, *_: object) -> None:
        self.method.detach()


@torch.no_grad()
def answer(model: Model) -> torch.Tensor:
    return predict(model, NOISE, TIMES, text.encode(model, ["a cat", "a dog"]), IDS)


def near(found: torch.Tensor, wanted: torch.Tensor, plain: torch.Tensor, share: float = 1e-3) -> bool:
    """Whether two answers differ by a small share of what the file changes at all, which must be something."""
    change = float((wanted - plain).abs().max())
    assert change > 1e-3 * float(plain.abs().max())
    return float((found - wanted).abs().max()) < share * change


def saved(model, made, path, precision="fp32"):
    with Attached(model, made) as method:
        method.save(path, {"ss_seed": "1"}, precision)
        return answer(model)


def raw(path, name):
    """One layer's tensors as they lie in a file."""
    root = kohya.file_name(name, ldm.family("sd1"))
    return {k.removeprefix(f"{root}."): v for k, v in load_file(path).items() if k.startswith(f"{root}.")}


def by_the_webui(found, weight):
    """Compute a layer's change as the WebUI 1.10 does (network_hada, network_lokr, network_lora, finalize_updown)."""
    if "hada_w1_a" in found:
        dim = found["hada_w1_b"].shape[0]
        change = (found["hada_w1_a"] @ found["hada_w1_b"]) * (found["hada_w2_a"] @ found["hada_w2_b"])
    elif "lokr_w1" in found:
        dim = found["lokr_w2_b"].shape[0] if "lokr_w2_b" in found else None
        w1, w2 = found["lokr_w1"], found.get("lokr_w2")
        w2 = found["lokr_w2_a"] @ found["lokr_w2_b"] if w2 is None else w2
        change = torch.kron(w1.unsqueeze(2).unsqueeze(2) if w2.ndim == 4 else w1, w2.contiguous())
    else:
        dim = found["lora_down.weight"].shape[0]
        up, down = (found[f"lora_{side}.weight"] for side in ("up", "down"))
        change = up.reshape(up.size(0), -1) @ down.reshape(down.size(0), -1)
    change = change.reshape(weight.shape) * (float(found["alpha"]) / dim if dim else 1.0)
    if "dora_scale" in found:
        merged = change + weight
        norm = merged.transpose(0, 1).reshape(merged.shape[1], -1).norm(dim=1, keepdim=True)
        norm = norm.reshape(merged.shape[1], *[1] * (weight.ndim - 1)).transpose(0, 1)
        change = merged * (found["dora_scale"] / norm) - weight
    return change
