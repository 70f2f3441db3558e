"""The training objective, from a batch to a loss.

Add noise to the latents, let the model predict, measure the distance to the target (Ho 2020, eq. 14; Salimans 2022 for
v).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..dataset.batches import Batch
from ..formats.family import Prediction
from ..randomness import generator
from ..recipe import TrainRecipe
from . import losses, noise

Predict = Callable[[Tensor, Tensor], Tensor]
"""(noisy latents [B, C, h, w], timesteps [B]) → the model's prediction [B, C, h, w]."""


@dataclass(frozen=True)
class LossResult:
    """``total``: Σ wᵢ·λ(tᵢ)·lᵢ / B, with gradients. ``per_picture`` [B]: lᵢ alone.

    lᵢ is the picture's mean over its elements, wᵢ its weight in the batch, λ its timestep's weight. The sum is divided
    by the number of pictures, not by the weights: a regularization weight of ½ halves the effect of those pictures and
    leaves the others' alone. So the mean over micro-batches of one size is the loss of the batch that they make
    together.
    """

    total: Tensor
    per_picture: Tensor
    timesteps: Tensor


class Objective:
    """The loss of a recipe, for a model's kind of prediction and its noise schedule ᾱ (float64 [1000])."""

    def __init__(
        self, train: TrainRecipe, prediction: Prediction, alphas_cumprod: Tensor, zero_terminal_snr: bool = False
    ) -> None:
        self.train, self.prediction = train, prediction
        alphas = losses.zero_terminal(alphas_cumprod) if zero_terminal_snr else alphas_cumprod
        self.signal, self.noise = alphas.sqrt().float(), (1 - alphas).sqrt().float()
        ratio = losses.snr(alphas)
        self.weights = losses.snr_weights(ratio, train.snr_weighting, train.snr_gamma, prediction).float()

    def loss(self, predict: Predict, batch: Batch, step: int, micro: int) -> LossResult:
        """Compute the loss of one micro-batch. Its random numbers are keyed by (seed, step, micro)."""
        train, latents, shard = self.train, batch.latents, batch.shard
        # Drawn for the whole batch, so that a process that sees a part of it has its pictures' own draws.
        whole = torch.Size((len(latents) * shard.count, *latents.shape[1:]))
        times = shard.of(noise.timesteps(whole[0], train, generator(train.seed, "timesteps", step, micro)))
        added = shard.of(noise.noise(whole, train, generator(train.seed, "noise", step, micro)))
        shown = added
        if train.input_perturbation:
            extra = torch.randn(whole, generator=generator(train.seed, "perturbation", step, micro))
            shown = added + train.input_perturbation * shard.of(extra)
        per_picture = self._per_picture(predict, latents, added, shown, times, batch.mask)
        weights = self.weights[times].to(latents.device) * batch.weight
        return LossResult((per_picture * weights).mean(), per_picture.detach(), times)

    def evaluate(
        self, predict: Predict, latents: Tensor, added: Tensor, times: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Compute the plain loss [B] of given noise and timesteps: without weights, offset or perturbation."""
        return self._per_picture(predict, latents, added, added, times, mask)

    def _per_picture(
        self, predict: Predict, latents: Tensor, added: Tensor, shown: Tensor, times: Tensor, mask: Tensor | None
    ) -> Tensor:
        device = latents.device
        added, shown = added.to(device), shown.to(device)
        signal = self.signal[times].to(device)[:, None, None, None]
        sigma = self.noise[times].to(device)[:, None, None, None]
        noisy = signal * latents + sigma * shown
        target = added if self.prediction == "epsilon" else signal * added - sigma * latents
        answer = predict(noisy, times.to(device)).float()
        values = losses.distance(answer, target, self.train.loss, self.train.huber_delta)
        return losses.masked_mean(values, mask if self.train.masked_loss else None, self.train.unmasked_weight)
