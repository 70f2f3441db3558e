"""The families at their published sizes, as skeletons without memory."""

from __future__ import annotations

from dataclasses import replace

import torch

from sdft_ext.formats import reference_families
from sdft_ext.model.base import Model
from sdft_ext.model.borrow import skeletons

SMALL_VAE = {
    "block_out_channels": (32, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}


def model(name: str) -> Model:
    """Make a model on the meta device, with a small VAE."""
    family = replace(reference_families.family(name), vae=SMALL_VAE)
    unet, vae, *texts = skeletons(family)
    return Model(family, unet, vae, texts, [], torch.ones(1000))
