"""Timesteps and noise of a training step. All random numbers come from keyed generators on the CPU."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from ..recipe import TrainRecipe


def timesteps(count: int, train: TrainRecipe, generator: Generator) -> Tensor:
    """Draw timesteps [count] int64 in [timestep_min, timestep_max], by the recipe's distribution.

    As a place from 0 to 1 in that range: 'uniform' u; 'logit_normal' the sigmoid of a normal (Esser 2024, §3.1);
    'cubic' 1 - u³ (Mou 2023, T2I-Adapter), which prefers noisy timesteps.
    """
    if train.timestep_distribution == "logit_normal":
        place = torch.sigmoid(torch.randn(count, generator=generator) * train.logit_std + train.logit_mean)
    else:
        place = torch.rand(count, generator=generator)
        if train.timestep_distribution == "cubic":
            place = 1 - place**3
    span = train.timestep_max - train.timestep_min + 1
    return (place.double() * span).long().clamp(0, span - 1) + train.timestep_min


def noise(shape: torch.Size, train: TrainRecipe, generator: Generator) -> Tensor:
    """Draw noise [B, C, h, w]: standard normal, with coarser noise and an offset where the recipe asks for them.

    The offset is one normal number for each picture and channel, times ``noise_offset`` (Guttenberg 2023, "Diffusion
    with offset noise"). It is added after the coarser noise, so that it keeps its strength.
    """
    plain = torch.randn(shape, generator=generator)
    if train.multires_iterations:
        plain = pyramid(plain, train.multires_iterations, train.multires_discount, generator)
    if train.noise_offset:
        plain = plain + train.noise_offset * torch.randn(*shape[:2], 1, 1, generator=generator)
    return plain


def pyramid(plain: Tensor, iterations: int, discount: float, generator: Generator) -> Tensor:
    """Add multi-resolution noise (Whitaker 2023, "Multi-resolution noise for diffusion model training") to ``plain``.

    Level i is noise of 1/rⁱ of the size, r drawn from [2, 4), enlarged and added with strength discountⁱ, up to i =
    ``iterations``; each picture is then scaled back to variance 1. Level 0 has full size. sd-scripts counts it, too:
    its 6 iterations are 5 here.
    """
    total = plain
    height, width = plain.shape[-2:]
    for level in range(iterations + 1):
        ratio = (2 + 2 * float(torch.rand((), generator=generator))) ** level
        size = max(1, int(height / ratio)), max(1, int(width / ratio))
        coarse = torch.randn(*plain.shape[:2], *size, generator=generator)
        total = total + discount**level * functional.interpolate(coarse, (height, width), mode="bilinear")
        if 1 in size:
            break
    return total / total.flatten(1).std(1)[:, None, None, None]
