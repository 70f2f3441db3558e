"""Pictures to latents and back.

Half precision overflows in some VAEs (SDXL's): what comes out without being a number is computed again in float32, from
a copy of the weights that lives for that moment.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .base import Model


@torch.no_grad()
def encode_pictures(model: Model, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Encode to mean and standard deviation [B, C, H/8, W/8] float32 of the latents, scaled, for pixels [B, 3, H, W] in
    [-1, 1].

    Raises ModelError where the VAE answers with something that isn't a number.
    """
    mean, log_variance = _finite(_Encoder(model.vae), pixels, model).chunk(2, 1)
    scale = model.family.latent_scale
    return mean * scale, torch.exp(0.5 * log_variance.clamp(-30, 20)) * scale


def encoded_at_once(width: int, height: int) -> int:
    """Return how many pictures one call of the VAE encodes: 1 of 512 × 512 pixels, 4 (the most) of 256 × 256."""
    return min(max(512 * 512 // (width * height), 1), 4)


@torch.no_grad()
def decode(model: Model, latents: Tensor) -> Tensor:
    """Decode to pixels [B, 3, 8h, 8w] float32 in [-1, 1] from scaled latents [B, C, h, w].

    Latents that aren't numbers (a model trained to pieces) give pixels that aren't either.
    """
    return _finite(_Decoder(model.vae), latents / model.family.latent_scale, model).clamp(-1, 1)


class _Encoder(nn.Module):
    """The VAE's mean and log variance, side by side."""

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
    """The module's answer in float32: computed in its own precision, and where that overflows, in float32."""
    parameter = next(module.parameters())
    values = values.to(parameter.device)
    answer: Tensor = module(values.to(parameter.dtype)).float()
    if parameter.dtype != torch.float32 and not bool(answer.isfinite().all()):
        weights = {name: tensor.float() for name, tensor in module.named_parameters()}
        answer = torch.func.functional_call(module, weights, (values.float(),))
    if bool(values.isfinite().all()) and not bool(answer.isfinite().all()):
        raise ModelError(
            f"The VAE of {model.path or 'the model'} answers with values that aren't numbers: choose another in "
            f"model.vae."
        )
    return answer
