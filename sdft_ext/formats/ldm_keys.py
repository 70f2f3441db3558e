"""Translate between the module names of LDM (single files, the WebUI) and diffusers.

A map goes from LDM module prefixes to diffusers module prefixes; ``translate`` applies the longest that matches. LDM
numbers blocks consecutively (``input_blocks.4.1``), diffusers by level (``down_blocks.1.attentions.0``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNET = "model.diffusion_model."
VAE = "first_stage_model."

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
VAE_RESNET = {"norm1": "norm1", "conv1": "conv1", "norm2": "norm2", "conv2": "conv2", "nin_shortcut": "conv_shortcut"}
VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
OPEN_CLIP_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def unet_prefixes(config: Mapping[str, Any]) -> dict[str, str]:
    """Map LDM module prefixes to diffusers module prefixes, for a UNet of diffusers configuration ``config``."""
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    attention = [name.startswith("CrossAttn") for name in config["down_block_types"]]
    names = {
        "input_blocks.0.0": "conv_in",
        "time_embed.0": "time_embedding.linear_1",
        "time_embed.2": "time_embedding.linear_2",
        "label_emb.0.0": "add_embedding.linear_1",
        "label_emb.0.2": "add_embedding.linear_2",
        "out.0": "conv_norm_out",
        "out.2": "conv_out",
        "middle_block.1": "mid_block.attentions.0",
        **_resnet("middle_block.0", "mid_block.resnets.0"),
        **_resnet("middle_block.2", "mid_block.resnets.1"),
    }
    number = 1
    for level in range(levels):
        for layer in range(layers):
            names |= _resnet(f"input_blocks.{number}.0", f"down_blocks.{level}.resnets.{layer}")
            if attention[level]:
                names[f"input_blocks.{number}.1"] = f"down_blocks.{level}.attentions.{layer}"
            number += 1
        if level < levels - 1:
            names[f"input_blocks.{number}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
            number += 1
    number = 0
    for block in range(levels):
        has_attention = attention[levels - 1 - block]
        for layer in range(layers + 1):
            names |= _resnet(f"output_blocks.{number}.0", f"up_blocks.{block}.resnets.{layer}")
            if has_attention:
                names[f"output_blocks.{number}.1"] = f"up_blocks.{block}.attentions.{layer}"
            if layer == layers and block < levels - 1:
                names[f"output_blocks.{number}.{1 + has_attention}.conv"] = f"up_blocks.{block}.upsamplers.0.conv"
            number += 1
    return names


def vae_prefixes(config: Mapping[str, Any]) -> dict[str, str]:
    """Map LDM module prefixes to diffusers module prefixes, for a VAE of diffusers configuration ``config``."""
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    names = {name: name for name in ("quant_conv", "post_quant_conv")}
    for half, side, blocks in (("encoder", "down", layers), ("decoder", "up", layers + 1)):
        for name, new in (("conv_in", "conv_in"), ("norm_out", "conv_norm_out"), ("conv_out", "conv_out")):
            names[f"{half}.{name}"] = f"{half}.{new}"
        for number in (1, 2):
            names |= _parts(f"{half}.mid.block_{number}", f"{half}.mid_block.resnets.{number - 1}", VAE_RESNET)
        names |= _parts(f"{half}.mid.attn_1", f"{half}.mid_block.attentions.0", VAE_ATTENTION)
        for level in range(levels):
            block = level if side == "down" else levels - 1 - level
            new = f"{half}.{side}_blocks.{block}"
            for layer in range(blocks):
                names |= _parts(f"{half}.{side}.{level}.block.{layer}", f"{new}.resnets.{layer}", VAE_RESNET)
            names[f"{half}.{side}.{level}.{side}sample.conv"] = f"{new}.{side}samplers.0.conv"
    return names


def open_clip_prefixes(layers: int) -> dict[str, str]:
    """Map OpenCLIP module prefixes to those of transformers' CLIP, without the fused q, k, v."""
    names = {"token_embedding": "text_model.embeddings.token_embedding", "ln_final": "text_model.final_layer_norm"}
    for layer in range(layers):
        names |= _parts(f"transformer.resblocks.{layer}", f"text_model.encoder.layers.{layer}", OPEN_CLIP_LAYER)
    return names


def translate(key: str, prefixes: Mapping[str, str]) -> str | None:
    """Translate a key or module path; None where no prefix matches."""
    head, tail = key, ""
    while head:
        if head in prefixes:
            return prefixes[head] + tail
        head, dot, last = head.rpartition(".")
        tail = f"{dot}{last}{tail}"
    return None


def inverse(prefixes: Mapping[str, str]) -> dict[str, str]:
    """Return the map in the other direction."""
    return {new: old for old, new in prefixes.items()}


def _parts(old: str, new: str, names: Mapping[str, str]) -> dict[str, str]:
    return {f"{old}.{a}": f"{new}.{b}" for a, b in names.items()}


def _resnet(old: str, new: str) -> dict[str, str]:
    return _parts(old, new, RESNET)
