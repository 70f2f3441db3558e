"""A fixed prediction of a model, to check that a saved file reproduces the model in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from ..randomness import generator
from .base import Flags, Model, predict
from .text import encode

TIMESTEP = 500


@torch.no_grad()
def fixed_prediction(model: Model, prompt: str, resolution: int, clip_skip: int = 1, seed: int = 0) -> Tensor:
    """Predict [1, C, h, w] float32, on the CPU, for keyed noise at timestep 500 and a prompt, in evaluation mode."""
    flags = Flags(model.modules)
    for module in model.modules:
        module.eval()
    try:
        side = max(resolution // 8, 8)
        shape = (1, model.family.vae["latent_channels"], side, side)
        noise = torch.randn(shape, generator=generator(seed, "probe")).to(model.device, model.dtype)
        size = float(side * 8)
        time_ids = torch.tensor([[size, size, 0, 0, size, size]], device=model.device)
        timestep = torch.tensor([TIMESTEP], device=model.device)
        conditioning = encode(model, [prompt], clip_skip).to(model.device, model.dtype)
        return predict(model, noise, timestep, conditioning, time_ids).float().cpu()
    finally:
        flags.restore()
