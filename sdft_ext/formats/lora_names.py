"""The names of one layer in different programs' LoRA files: kohya's, OneTrainer's, peft's and diffusers'."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .kohya import webui_layer

KOHYA = "lora_"
UPSAMPLER = re.compile(r"(output_blocks_\d+)_[12]_conv$")
"""Its number depends on whether the block has attention, which a name doesn't tell."""
OF_SDXL = re.compile(
    r"lora_te2_|lora_unet_(?:add_embedding|label_emb|input_blocks|output_blocks|middle_block)_"
    r"|lora_unet_.+_transformer_blocks_[2-9]_"
)
"""Layers of SDXL, of which kohya's scripts write LDM's names."""
TEXT = re.compile(r"lora_(te|te1|te2)_(.+)")


def same_layer(name: str) -> str:
    """Return a name that is the same for all names of a layer."""
    name = underscored(name)
    if name.startswith("lora_unet_"):
        return "lora_unet_" + UPSAMPLER.sub(r"\1_conv", webui_layer(name.removeprefix("lora_unet_")))
    if match := TEXT.fullmatch(name):
        return f"lora_{'te2' if match[1] == 'te2' else 'te1'}_{match[2]}"
    return name


def is_text(name: str) -> bool:
    """Return whether a layer belongs to a text encoder."""
    return TEXT.fullmatch(underscored(name)) is not None


def of_sdxl(names: Iterable[str]) -> bool:
    """Return whether a file with these layers is for SDXL, as far as its names tell."""
    return any(OF_SDXL.match(underscored(name)) for name in names)


def underscored(name: str, text: str = "lora_te1_") -> str:
    """Return a name 'part.path' of peft's and diffusers' files as kohya writes it; any other unchanged. ``text``: the
    start of the first text encoder's, which for SD 1 and SD 2 is ``lora_te_``.
    """
    part, dot, path = name.partition(".")
    prefix = {"unet": "lora_unet_", "text_encoder": text, "text_encoder_2": "lora_te2_"}.get(part)
    return prefix + path.replace(".", "_") if dot and prefix else name
