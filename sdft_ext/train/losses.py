"""Distances between prediction and target, and weights of timesteps. Pure functions, named as in their papers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..formats.family import Prediction
from ..recipe import Loss, SnrWeighting


def distance(answer: Tensor, target: Tensor, kind: Loss, delta: float) -> Tensor:
    """Compute the element-wise distance, of the inputs' shape.

    'huber' is quadratic up to ``delta`` and straight after (Huber 1964), scaled to equal the square near 0: d², then
    δ(2|d| - δ). 'pseudo_huber' is its smooth form 2δ(√(d² + δ²) - δ), the one that sd-scripts calls huber.
    """
    if kind == "l2":
        return functional.mse_loss(answer, target, reduction="none")
    if kind == "l1":
        return functional.l1_loss(answer, target, reduction="none")
    if kind == "huber":
        return 2 * functional.huber_loss(answer, target, reduction="none", delta=delta)
    # √(d² + δ²) - δ loses its digits where δ is large; this is the same without the difference.
    square = (answer - target) ** 2
    return 2 * delta * square / ((square + delta**2).sqrt() + delta)


def snr(alphas_cumprod: Tensor) -> Tensor:
    """Compute the signal-to-noise ratio ᾱ/(1 - ᾱ) of each timestep, float64; 0 for pure noise, infinite for none."""
    return alphas_cumprod / (1 - alphas_cumprod)


LOWEST_SNR, HIGHEST_SNR = 0.004, 1000.0
"""Bounds of the SNR where a weight divides by it. Stable Diffusion's own SNRs are 0.0047 to 1175; only a zero-terminal
schedule goes down to 0, and its last timesteps would outweigh all the others by a hundred times and more."""


def snr_weights(ratio: Tensor, kind: SnrWeighting, gamma: float, prediction: Prediction) -> Tensor:
    """Compute the loss weight of each timestep from its SNR; finite for every SNR from 0 to infinity.

    min_snr: min(SNR, γ)/SNR for ε, min(SNR, γ)/(SNR + 1) for v (Hang 2023).
    soft_min_snr: γ·SNR/(SNR + γ) in place of the minimum (Crowson 2024): its smooth form.
    debiased: 1/√SNR for ε (Yu 2023), 1/(SNR + 1) for v; SNR bounded as above.
    """
    if kind == "none":
        return torch.ones_like(ratio)
    if kind == "debiased":
        bounded = ratio.clamp(LOWEST_SNR, HIGHEST_SNR)
        return 1 / (bounded + 1) if prediction == "v_prediction" else 1 / bounded.sqrt()
    # Written so that neither 0 nor infinity is divided by itself.
    shrunk = (gamma / ratio).clamp(max=1.0) if kind == "min_snr" else gamma / (ratio + gamma)
    return shrunk / (1 + 1 / ratio) if prediction == "v_prediction" else shrunk


def masked_mean(values: Tensor, mask: Tensor | None, outside: float) -> Tensor:
    """Average element-wise losses [B, C, h, w] to [B], weighted by a mask [B, 1, h, w] in [0, 1].

    An element counts ``outside + (1 - outside)·mask``. The sum is divided by the sum of these weights, not by the
    picture's area (as sd-scripts does), so a subject that fills a tenth of the picture trains as strongly as one that
    fills it. A picture whose mask is all 0 counts 0.
    """
    if mask is None:
        return values.flatten(1).mean(1)
    weights = (outside + (1 - outside) * mask).expand_as(values).flatten(1)
    return (values.flatten(1) * weights).sum(1) / weights.sum(1).clamp(min=1e-6)


def zero_terminal(alphas_cumprod: Tensor) -> Tensor:
    """Rescale ᾱ so that the last timestep is pure noise (Lin 2023, algorithm 1)."""
    root = alphas_cumprod.sqrt()
    first, last = root[0], root[-1]
    return ((root - last) * first / (first - last)) ** 2
