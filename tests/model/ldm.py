"""LDM-layout checkpoints at toy size for SD 1, SD 2 and SDXL, with random weights in the layout of real files."""

from __future__ import annotations

import torch
from torch import Tensor

from sdft_ext.formats import ldm_keys
from sdft_ext.formats.family import Family
from sdft_ext.model.borrow import skeletons

UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (32, 64, 64),
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "transformer_layers_per_block": (1, 1, 1),
    "sample_size": 64,
}
VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": (32, 32, 64, 64),
    "layers_per_block": 1,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "sample_size": 512,
}


def text(hidden: int, layers: int, act: str, projection: int | None = None) -> dict[str, object]:
    return {
        "vocab_size": 49408,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 1,
        "max_position_embeddings": 77,
        "hidden_act": act,
        "projection_dim": projection or hidden,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    }


def family(name: str) -> Family:
    if name == "sd1":
        unet = {**UNET, "attention_head_dim": (8, 8, 8), "cross_attention_dim": 64, "use_linear_projection": False}
        return Family("sd1", "epsilon", False, unet, VAE, (text(64, 2, "quick_gelu"),), (1,), 0.18215)
    if name == "sd2":
        unet = {
            **UNET,
            "block_out_channels": (64, 128, 128),
            "attention_head_dim": (1, 2, 2),
            "cross_attention_dim": 64,
            "use_linear_projection": True,
        }
        return Family("sd2", "epsilon", False, unet, VAE, (text(64, 3, "gelu"),), (2,), 0.18215)
    unet = {
        **UNET,
        "block_out_channels": (64, 128, 128),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 1, 2),
        "attention_head_dim": (1, 2, 2),
        "cross_attention_dim": 160,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 16,
        "projection_class_embeddings_input_dim": 96 + 6 * 16,
    }
    texts = (text(64, 2, "quick_gelu"), text(96, 3, "gelu", 96))
    return Family("sdxl", "epsilon", False, unet, VAE, texts, (2, 2), 0.13025)


def state_dict(kind: Family, seed: int = 0) -> dict[str, Tensor]:
    """Make every tensor of the single-file layout from its name alone, without the tensors of the code under test."""
    generator = torch.Generator().manual_seed(seed)

    def random(shape: torch.Size | tuple[int, ...], scale: float = 0.05) -> Tensor:
        return torch.randn(tuple(shape), generator=generator) * scale

    unet, vae, *texts = skeletons(kind)
    found: dict[str, Tensor] = {}
    for module, prefix, names in (
        (unet, "model.diffusion_model.", ldm_keys.unet_prefixes(kind.unet)),
        (vae, "first_stage_model.", ldm_keys.vae_prefixes(kind.vae)),
    ):
        back = ldm_keys.inverse(names)
        for name, parameter in module.named_parameters():
            key = ldm_keys.translate(name, back)
            assert key is not None, name
            square = prefix == "first_stage_model." and ".attn_1." in key and parameter.ndim == 2
            found[prefix + key] = random((*parameter.shape, 1, 1) if square else parameter.shape)
    prefixes = {"sd1": ("cond_stage_model.transformer.",), "sd2": ("cond_stage_model.model.",)}
    xl = ("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model.")
    for prefix, config, module in zip(prefixes.get(kind.name, xl), kind.text, texts, strict=True):
        if prefix.endswith("transformer."):
            found |= {prefix + name: random(p.shape) for name, p in module.named_parameters()}
            found[prefix + "text_model.embeddings.position_ids"] = torch.arange(77)[None]
        else:
            found |= open_clip(prefix, config, random)
    return found


def open_clip(prefix, config, random):
    width, inner = config["hidden_size"], config["intermediate_size"]
    found = {
        "token_embedding.weight": random((49408, width)),
        "positional_embedding": random((77, width)),
        "ln_final.weight": random((width,), 1.0),
        "ln_final.bias": random((width,)),
        "text_projection": random((width, config["projection_dim"]), 0.2),
        "logit_scale": torch.tensor(4.6),
    }
    for layer in range(config["num_hidden_layers"]):
        root = f"transformer.resblocks.{layer}"
        for name, shape in {
            "ln_1.weight": (width,), "ln_1.bias": (width,), "ln_2.weight": (width,), "ln_2.bias": (width,),
            "attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width), "attn.out_proj.bias": (width,),
            "mlp.c_fc.weight": (inner, width), "mlp.c_fc.bias": (inner,),
            "mlp.c_proj.weight": (width, inner), "mlp.c_proj.bias": (width,),
        }.items():  # fmt: skip
            found[f"{root}.{name}"] = random(shape)
    return {prefix + key: value for key, value in found.items()}
