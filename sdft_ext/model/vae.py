"""Encode pictures to latents, and decode them.

Half precision overflows in some VAEs (SDXL's): where the output isn't finite, it is computed again in float32, with a
temporary copy of the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .base import Model


@torch.no_grad()
def encode_pictures(model: Model, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Encode pixels [B, 3, H, W] in [-1, 1] to mean and standard deviation of the latents, each [B, C, H/8, W/8]
    float32, scaled.

    Raises ModelError where the VAE returns NaN or infinity.
    """
    mean, log_variance = _finite(_Encoder(model.vae), pixels, model).chunk(2, 1)
    scale = model.family.latent_scale
    return mean * scale, torch.exp(0.5 * log_variance.clamp(-30, 20)) * scale


def encoded_at_once(width: int, height: int) -> int:
    """Return how many pictures one call of the VAE encodes: 1 of 512 × 512 pixels, 4 (the most) of 256 × 256."""
    return min(max(512 * 512 // (width * height), 1), 4)


@torch.no_grad()
def decode(model: Model, latents: Tensor) -> Tensor:
    """Decode scaled latents [B, C, h, w] to pixels [B, 3, 8h, 8w] float32 in [-1, 1].

    Latents that aren't finite (of a model ruined by training) give pixels that aren't either. Raises ModelError where
    the VAE returns NaN or infinity for finite latents.
    """
    return _finite(_Decoder(model.vae), latents / model.family.latent_scale, model).clamp(-1, 1)


class _Encoder(nn.Module):
    """Encodes pixels to the latents' mean and log variance, concatenated along the channels."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: Tensor) -> Tensor:
        moments: Tensor = self.vae.encode(pixels).latent_dist.parameters
        return moments


class _Decoder(_Encoder):
    def forward(self, latents: Tensor) -> Tensor:
        pixels: Tensor = self.vae.decode(latents).sample
        return pixels


def _finite(module: nn.Module, values: Tensor, model: Model) -> Tensor:
    """Run the module in its own precision, and again in float32 where that overflows. Raises ModelError."""
    parameter = next(module.parameters())
    values = values.to(parameter.device)
    output: Tensor = module(values.to(parameter.dtype)).float()
    if parameter.dtype != torch.float32 and not bool(output.isfinite().all()):
        weights = {name: tensor.float() for name, tensor in module.named_parameters()}
        output = torch.func.functional_call(module, weights, (values.float(),))
    if bool(values.isfinite().all()) and not bool(output.isfinite().all()):
        raise ModelError(
            f"The VAE of {model.path or 'the model'} returns NaN or infinity: choose another in model.vae."
        )
    return output
