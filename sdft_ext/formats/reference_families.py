"""The families at their published sizes, for models whose file can't be inspected quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .family import Family

DOWN, DOWN_CROSS, UP, UP_CROSS = "DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"

COMMON: dict[str, Any] = {"in_channels": 4, "out_channels": 4, "layers_per_block": 2, "sample_size": 64}
SD: dict[str, Any] = {
    **COMMON,
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": (DOWN_CROSS, DOWN_CROSS, DOWN_CROSS, DOWN),
    "up_block_types": (UP, UP_CROSS, UP_CROSS, UP_CROSS),
}
UNET: dict[str, dict[str, Any]] = {
    "sd1": {**SD, "cross_attention_dim": 768, "attention_head_dim": (8, 8, 8, 8)},
    "sd2": {**SD, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
    "sdxl": {
        **COMMON,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": (DOWN, DOWN_CROSS, DOWN_CROSS),
        "up_block_types": (UP_CROSS, UP_CROSS, UP),
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
VAE: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "sample_size": 512,
}


def _text(width: int, layers: int, heads: int, activation: str) -> dict[str, Any]:
    return {
        "vocab_size": 49408,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": 77,
        "hidden_act": activation,
        "projection_dim": width,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    }


TEXT: dict[str, tuple[dict[str, Any], ...]] = {
    "sd1": (_text(768, 12, 12, "quick_gelu"),),
    "sd2": (_text(1024, 23, 16, "gelu"),),
    "sdxl": (_text(768, 12, 12, "quick_gelu"), _text(1280, 32, 20, "gelu")),
}


def family(name: str) -> Family:
    """Return a family as its first model was published."""
    from .family import Family

    scale = 0.13025 if name == "sdxl" else 0.18215
    layers = {"sd1": (1,), "sd2": (2,), "sdxl": (2, 2)}[name]
    return Family(name, "epsilon", False, UNET[name], VAE, TEXT[name], layers, scale)  # type: ignore[arg-type]
