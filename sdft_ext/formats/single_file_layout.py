"""Map the parameters of diffusers modules to the tensors of a single file in LDM's layout.

For the other direction, see ``borrow.places``.
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
class JoinedTensor:
    """A file's tensor: the parameters ('part.path.leaf') that it is made of, and the function that joins them."""

    names: list[str]
    join: Join


def keys(family: Family, names: Iterable[str]) -> dict[str, JoinedTensor]:
    """Return a single file's tensors, by key, for a model with these parameters."""
    unet = inverse(unet_prefixes(family.unet))
    vae = inverse(vae_prefixes(family.vae))
    prefixes = {"sd1": (CLIP_L,), "sd2": (CLIP_H,), "sdxl": (XL_L, XL_G)}[family.name]
    towers = dict(zip(("text_encoder", "text_encoder_2"), zip(prefixes, family.open_clip, family.text), strict=False))  # noqa: B905
    found: dict[str, JoinedTensor] = {}
    for name in names:
        part, _, path = name.partition(".")
        if part in ("unet", "vae"):
            key = translate(path, unet if part == "unet" else vae)
            if key is None:
                raise ValueError(f"no name for {name}")
            square = part == "vae" and ".attn_1." in key and key.endswith(".weight") and ".norm." not in key
            found[(UNET if part == "unet" else VAE) + key] = JoinedTensor([name], _square if square else _same)
            continue
        prefix, open_clip, config = towers[part]
        if not open_clip:
            found[prefix + path] = JoinedTensor([name], _same)
        elif (third := _third(path)) is not None:
            number, key = third
            joined = found.setdefault(prefix + key, JoinedTensor(["", "", ""], torch.cat))
            joined.names[number] = name
        else:
            key, join = _open_clip(path, config["num_hidden_layers"])
            found[prefix + key] = JoinedTensor([name], join)
    if family.missing_text_layers:
        # Programs use the layer before the last: the unused last one is written as a copy of the one before.
        layers = family.text[0]["num_hidden_layers"]
        old, new = (f"{CLIP_H}transformer.resblocks.{number}." for number in (layers - 1, layers))
        found |= {new + key.removeprefix(old): joined for key, joined in found.items() if key.startswith(old)}
    return found


def _third(path: str) -> tuple[int, str] | None:
    """Return which third of a fused tensor a parameter is, and the tensor's key; None where it isn't fused."""
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
