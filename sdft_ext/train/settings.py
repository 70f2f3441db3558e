"""Applies the recipe's settings of computation to the borrowed model's modules."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import torch

from ..model.base import Model
from ..recipe import TrainRecipe


def as_trained(train: TrainRecipe, model: Model) -> Model:
    """Set the model's noise schedule to the one that the recipe trains with, so that pictures are drawn with it too."""
    if train.zero_terminal_snr:
        model.family = replace(model.family, zero_terminal_snr=True)
    return model


def apply(train: TrainRecipe, model: Model, at_the_end: ExitStack) -> None:
    """Set attention, checkpointing and training mode of our modules; ``at_the_end`` restores what is process-wide."""
    from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

    model.unet.set_attn_processor(AttnProcessor2_0() if train.sdpa else AttnProcessor())
    if train.checkpointing:
        model.unet.enable_gradient_checkpointing()
    # Checkpointing and dropout work in training mode only; no base has dropout of its own.
    for module in (model.unet, *model.text_encoders):
        module.train()
    if train.deterministic:
        at_the_end.callback(torch.use_deterministic_algorithms, torch.are_deterministic_algorithms_enabled())
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Its backward pass adds up in any order, and torch only warns of that; the other kinds of attention don't.
        at_the_end.callback(
            torch.backends.cuda.enable_mem_efficient_sdp, torch.backends.cuda.mem_efficient_sdp_enabled()
        )
        torch.backends.cuda.enable_mem_efficient_sdp(False)
