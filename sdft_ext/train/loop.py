"""The loop: what happens in one optimizer step. It names no method, no host and no page."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..dataset.batches import Batch
from ..dataset.prepare import Dataset
from ..dataset.shard import Shard
from ..errors import SdftError
from ..method.base import Method
from ..model.base import Conditioning, Flags, Model, predict
from ..model.text import chunk_count, encode
from ..randomness import forked
from ..recipe import LORA_FAMILY, Recipe, RecipeError
from ..run_folder.state import load_optimizer, optimizer_state
from .ema import EMA
from .objective import Objective
from .optimizers import build, evaluation_weights
from .precision import Precision
from .prior import prior
from .processes import ALONE, Processes, check
from .rounding import Rounding, needed
from .schedules import LearningRates, length

Encode = Callable[[Sequence[str]], Conditioning]
"""Captions → the conditioning that the UNet gets."""


class NotFinite(SdftError, RuntimeError):
    """The loss or the weights became NaN or infinite; the message says what to change."""


class BatchSource(Protocol):
    """Batches as a pure function of the step and the micro-batch within it, both 0-based."""

    def at(self, step: int, micro: int) -> Batch: ...


@dataclass(frozen=True)
class Encoders:
    """``trained`` encodes with gradients, while the text encoder trains; ``frozen``, which may cache, while it
    doesn't.
    """

    trained: Encode
    frozen: Encode


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did. ``step`` counts from 1; ``pictures`` are numbers of the dataset's pictures."""

    step: int
    loss: float
    gradient_norm: float
    learning_rates: dict[str, float]
    pictures: list[int]
    seconds: float


def refuse_compile(version: str, device: torch.device, recipe: Recipe) -> None:
    """Raise RecipeError where torch's compiler is known to fail: 2.1's on a CPU, on layers with adapters around
    them.
    """
    if version.startswith("2.1.") and device.type == "cpu" and recipe.method.name in LORA_FAMILY:
        raise RecipeError(
            f"train.compile can't be used on a CPU with torch {version}, whose compiler fails on a LoRA's layers: "
            f"set it to "
            "false, or install a newer torch."
        )


class Loop:
    """The steps of one run. ``processes``: those that take each step together.

    Raises RecipeError for what this model, or several processes, can't do.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        method: Method,
        batches: BatchSource,
        total_steps: int,
        encoders: Encoders,
        processes: Processes = ALONE,
    ) -> None:
        train = recipe.train
        check(recipe, processes, method.uses_global_rng)
        self.processes = processes
        self.recipe, self.model, self.method, self.batches = recipe, model, method, batches
        self.total_steps = total_steps
        self.encoders = encoders
        self.device = model.device
        self.objective = Objective(
            train,
            model.family.prediction,
            model.alphas_cumprod,
            zero_terminal_snr=model.family.zero_terminal_snr or train.zero_terminal_snr,
        )
        self.prior = prior(recipe, method, self.objective.weights)
        self.groups = method.groups()
        self.parameters = [parameter for group in self.groups for parameter in group.parameters]
        self.optimizer = build(self.groups, train)
        self.rounding = Rounding(self.optimizer, train.seed) if needed(self.parameters) else None
        self.rates = LearningRates(train, total_steps)
        self.precision = Precision(train.precision, self.device)
        dtypes = {parameter.dtype for parameter in model.unet.parameters()}
        if train.precision == "fp32" and dtypes & {torch.float16, torch.bfloat16}:
            raise RecipeError(
                "train.precision is fp32, but the model is loaded in half precision: set it to bf16 (or fp16), or "
                "load the "
                "model in float32 (the WebUI's --no-half)."
            )
        self.precision.refuse_mixed(
            dtypes | {parameter.dtype for encoder in model.text_encoders for parameter in encoder.parameters()}
        )
        self.ema = EMA(self.parameters, train.ema) if train.ema else None
        self.trains_text = any(group.of_text_encoder for group in self.groups)
        self.text_stop = round(train.text_encoder_stop * total_steps)
        if train.compile:
            refuse_compile(torch.__version__, self.device, recipe)
        self.unet = torch.compile(model.unet) if train.compile else None
        self._moving = False

    def step(self, step: int) -> StepResult:
        """Take optimizer step number ``step`` (0-based): gather gradients over the micro-batches, clip, move.

        Raises NotFinite where the loss or the gradients are NaN or infinite; the weights are then as before the step.
        """
        started = time.perf_counter()
        train, self._moving = self.recipe.train, False
        rates = self.set_rates(step)
        total, pictures = 0.0, []
        for micro in range(train.accumulation):
            batch = self.batches.at(step, micro)
            loss = self.loss(batch, step, micro)
            self.precision.backward(loss / train.accumulation)
            total += float(loss.detach()) / train.accumulation
            pictures += batch.pictures
        total = self.processes.average(self.parameters, total)
        if not math.isfinite(total):
            self.optimizer.zero_grad(set_to_none=True)
            raise NotFinite(self._not_finite("The loss", total, step))
        self._moving = True
        if self.rounding is not None:
            self.rounding.number = step
        norm = self.precision.step(self.rounding or self.optimizer, self.parameters, train.clip_norm)
        self.optimizer.zero_grad(set_to_none=True)
        if self.precision.broken(norm):
            raise NotFinite(self._not_finite("The gradient norm", norm, step))
        self.method.after_step(texts=step < self.text_stop)
        if self.ema is not None:
            self.ema.update()
        return StepResult(step + 1, total, norm, rates, pictures, time.perf_counter() - started)

    def _not_finite(self, what: str, value: float, step: int) -> str:
        rate = self.recipe.train.learning_rate
        return (
            f"{what} became {value} at step {step + 1}. Lower the learning rate (now {rate:g}), or use precision bf16 "
            "instead of fp16."
        )

    def abandon(self) -> bool:
        """Clean up after a failed step; returns whether it can be repeated, because no weight has moved yet."""
        self.optimizer.zero_grad(set_to_none=True)
        return not self._moving

    def loss(self, batch: Batch, step: int, micro: int) -> torch.Tensor:
        """Compute the weighted loss of one micro-batch, a scalar with gradients."""
        trains_text = self.trains_text and step < self.text_stop
        fork: AbstractContextManager[None] = (
            forked(self.recipe.train.seed, "dropout", step, micro) if self.method.uses_global_rng else nullcontext()
        )
        with fork, self.precision.autocast():
            captions = batch.all_captions or batch.captions
            encode = self._of_shard(batch.shard, self._encoder(trains_text))
            conditioning = encode(captions)
            time_ids = None if batch.time_ids is None else batch.time_ids.to(self.device)
            seen: list[tuple[Tensor, Tensor]] = []

            def answer(noisy: Tensor, timesteps: Tensor, prompts: Conditioning) -> Tensor:
                return predict(self.model, noisy, timesteps, prompts, time_ids, unet=self.unet)

            def predicted(noisy: Tensor, timesteps: Tensor) -> Tensor:
                if self.recipe.train.channels_last:
                    noisy = noisy.contiguous(memory_format=torch.channels_last)
                seen.append((noisy, timesteps))
                return answer(noisy, timesteps, conditioning)

            total = self.objective.loss(predicted, batch.to(self.device), step, micro).total
            if self.prior is not None:
                total = total + self.prior.loss(*seen[0], captions, encode, answer)
            return total

    def _of_shard(self, shard: Shard, encode: Encode) -> Encode:
        """Make a function from the whole batch's captions to the conditioning of its shard, as long as if all were
        encoded.
        """
        if shard.count == 1:
            return encode

        def encoded(captions: Sequence[str]) -> Conditioning:
            own, lengths = shard.of(list(captions)), [chunk_count(self.model, caption) for caption in captions]
            longest = max(lengths)
            if longest == max(shard.of(lengths)):
                return encode(own)
            return encode([*own, captions[lengths.index(longest)]]).rows(list(range(len(own))))

        return encoded

    def _encoder(self, trains_text: bool) -> Encode:
        """Choose how captions are encoded; without autocast in the UNet's dtype, whatever the text encoder's is."""
        encode = self.encoders.trained if trains_text else self.encoders.frozen
        if self.precision.name != "fp32":
            return encode
        return lambda captions: encode(captions).to(self.device, self.model.dtype)

    def set_rates(self, step: int) -> dict[str, float]:
        """Set the optimizer's learning rates of this step; returns them by group."""
        rates = {}
        for group, settings in zip(self.groups, self.optimizer.param_groups, strict=True):
            stopped = group.of_text_encoder and step >= self.text_stop
            settings["lr"] = 0.0 if stopped else self.rates.at(step, group.learning_rate)
            rates[group.name] = settings["lr"]
        return rates

    @torch.no_grad()
    def evaluate(self, batch: Batch, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Compute the unweighted losses [B] of given noise and timesteps, for validation: without dropout, so only
        weights count.
        """
        batch, flags = batch.to(self.device), Flags(self.model.modules)
        try:
            for module in self.model.modules:
                module.eval()
            with self.precision.autocast():
                conditioning = self._encoder(self.trains_text)(batch.captions)
                return self.objective.evaluate(
                    lambda noisy, times: predict(self.model, noisy, times, conditioning, batch.time_ids),
                    batch.latents,
                    noise,
                    timesteps,
                    batch.mask,
                )
        finally:
            flags.restore()

    def state(self) -> dict[str, Any]:
        """Give everything but the trained weights that the next step depends on."""
        ema = None if self.ema is None else {"mean": self.ema.mean, "updates": self.ema.updates}
        return {"optimizer": optimizer_state(self.optimizer), "scaler": self.precision.state(), "ema": ema}

    def load_state(self, tree: dict[str, Any]) -> None:
        """Put back what ``state`` gave, bit for bit."""
        load_optimizer(self.optimizer, tree["optimizer"])
        self.precision.load_state(tree["scaler"])
        if self.ema is not None:
            self.ema.load(tree["ema"]["mean"], tree["ema"]["updates"])

    def end(self) -> None:
        """Release the trained weights, the optimizer's state and the EMA: no step follows."""
        self.optimizer.state.clear()
        self.optimizer.param_groups.clear()
        self.groups, self.parameters, self.ema = [], [], None

    def weights_to_show(self) -> AbstractContextManager[Any]:
        """Show, inside the block, the weights for pictures and validation: the EMA's or the schedule-free mean, else as
        they are.
        """
        if self.ema is not None:
            return self.ema.applied()
        return evaluation_weights(self.optimizer)

    def weights_to_save(self) -> AbstractContextManager[Any]:
        """Do the same for files, in which the EMA isn't rounded to the weights' dtype."""
        return self.weights_to_show() if self.ema is None else self.ema.exact()


def loop_for(recipe: Recipe, model: Model, method: Method, dataset: Dataset, processes: Processes = ALONE) -> Loop:
    """Make the loop of an attached method, over the batches that the dataset has for this process."""

    def encoded(captions: Sequence[str]) -> Conditioning:
        return encode(model, captions, recipe.model.clip_skip)

    # Captions are kept encoded only while the text encoder stays what it was.
    frozen = torch.no_grad()(encoded) if recipe.method.trains_text else dataset.text.get
    total = length(recipe.train, dataset.plan.total_steps)
    return Loop(recipe, model, method, dataset.batches, total, Encoders(encoded, frozen), processes)
