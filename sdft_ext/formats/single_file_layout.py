"""How a single file (LDM's layout) holds the parameters that diffusers modules have: the way from modules to a file.

The other way is ``borrow.places``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .families import CLIP_H, CLIP_L, XL_G, XL_L
from .family import Family
from .ldm_keys import UNET, VAE, inverse, open_clip_prefixes, translate, unet_prefixes, vae_prefixes

Join = Callable[[Sequence[Tensor]], Tensor]
THIRDS = ("q_proj", "k_proj", "v_proj")


@dataclass
class Made:
    """A file's tensor: the parameters ('part.path.leaf') that it is made of, and how."""

    names: list[str]
    join: Join


def keys(family: Family, names: Iterable[str]) -> dict[str, Made]:
    """A single file's keys for a model with these parameters → what each is made of."""
    unet = inverse(unet_prefixes(family.unet))
    vae = inverse(vae_prefixes(family.vae))
    prefixes = {"sd1": (CLIP_L,), "sd2": (CLIP_H,), "sdxl": (XL_L, XL_G)}[family.name]
    towers = dict(zip(("text_encoder", "text_encoder_2"), zip(prefixes, family.open_clip, family.text), strict=False))  # noqa: B905
    found: dict[str, Made] = {}
    for name in names:
        part, _, path = name.partition(".")
        if part in ("unet", "vae"):
            key = translate(path, unet if part == "unet" else vae)
            if key is None:
                raise ValueError(f"no name for {name}")
            square = part == "vae" and ".attn_1." in key and key.endswith(".weight") and ".norm." not in key
            found[(UNET if part == "unet" else VAE) + key] = Made([name], _square if square else _same)
            continue
        prefix, open_clip, config = towers[part]
        if not open_clip:
            found[prefix + path] = Made([name], _same)
        elif (third := _third(path)) is not None:
            number, key = third
            made = found.setdefault(prefix + key, Made(["", "", ""], torch.cat))
            made.names[number] = name
        else:
            key, join = _open_clip(path, config["num_hidden_layers"])
            found[prefix + key] = Made([name], join)
    if family.left_out:
        # Programs read the layer before the last: a copy of the last one stands in for the unused one behind it.
        layers = family.text[0]["num_hidden_layers"]
        old, new = (f"{CLIP_H}transformer.resblocks.{number}." for number in (layers - 1, layers))
        found |= {new + key.removeprefix(old): made for key, made in found.items() if key.startswith(old)}
    return found


def _third(path: str) -> tuple[int, str] | None:
    """Which third of a fused tensor a parameter is, and the tensor's key; None where it is none."""
    root, _, leaf = path.rpartition(".")
    head, _, last = root.rpartition(".")
    if last not in THIRDS:
        return None
    layer = head.removeprefix("text_model.encoder.layers.").split(".")[0]
    return THIRDS.index(last), f"transformer.resblocks.{layer}.attn.in_proj_{leaf}"


def _open_clip(path: str, layers: int) -> tuple[str, Join]:
    if path == "text_model.embeddings.position_embedding.weight":
        return "positional_embedding", _same
    if path == "text_projection.weight":
        return "text_projection", _transposed
    key = translate(path, inverse(open_clip_prefixes(layers)))
    if key is None:
        raise ValueError(f"no name for {path}")
    return key, _same


def _same(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0]


def _square(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0][:, :, None, None]


def _transposed(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0].T
