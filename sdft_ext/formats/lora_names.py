"""The names of one layer in different programs' LoRA files: kohya's, OneTrainer's, peft's and diffusers'."""

from __future__ import annotations

import re

from .kohya import webui_layer

KOHYA = "lora_"
UPSAMPLER = re.compile(r"(output_blocks_\d+)_[12]_conv$")
"""Its number depends on whether the block has attention, which a name doesn't tell."""
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


def underscored(name: str) -> str:
    """Return a name 'part.path' of peft's and diffusers' files as kohya writes it; any other unchanged."""
    part, dot, path = name.partition(".")
    prefix = {"unet": "lora_unet_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}.get(part)
    return prefix + path.replace(".", "_") if dot and prefix else name
