"""The memory of each phase of a run, in megabytes by part; the run needs as much as the highest phase.

Weights, gradients and optimizer states are counted from the model's own shapes; the method says which of them train.
The intermediate results of a step and of a picture come from ``coefficients.json``, counted on the CPU by
``python -m bench memory``.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..formats.family import Family
from ..method import METHODS
from ..model.copies import parameters
from ..model.skeleton import model_numbers, skeleton
from ..model.vae import encoded_at_once
from ..recipe import Recipe
from ..run.memory_mode import offloadable_parts
from ..storage import json_file
from ..train.optimizer_memory import stored_numbers
from ..train.weights import MOST

COEFFICIENTS = Path(__file__).with_name("coefficients.json")
ON_GPU = 1.13
"""Memory of a step on a GPU, as a multiple of the count on the CPU: 1.0 to 1.2 on an H100 (docs/memory.md)."""
MB = 2**20
Parts = dict[str, float]
"""Megabytes by part."""


@dataclass(frozen=True)
class Place:
    """Where a recipe runs. ``kind``: the family's name, or toy; ``file_mb``: megabytes of a file in another dtype than
    float32; ``dtype``: the loaded model's, where that is known; ``pictures``: how many the dataset has.
    """

    family: Family
    kind: str
    on_cpu: bool
    loaded: bool
    file_mb: float = 0.0
    pictures: int = 0
    dtype: str = ""


STEPPING = ("first step", "end of the first step", "step", "end of a step")
"""Phases in which a run in exclusive mode has offloaded the parts that its steps don't need."""


def phases(recipe: Recipe, place: Place) -> dict[str, Parts]:
    """Count each phase of a run: phase → megabytes by part, besides what is in use before the run."""
    return _Count(recipe, place).phases()


def offloaded(recipe: Recipe, place: Place) -> float:
    """Count the megabytes that exclusive mode frees on a GPU during steps; models there are in half precision."""
    model = skeleton(place.family)
    modules = {"unet": [model.unet], "vae": [model.vae], "text encoder": model.text_encoders}
    parts = [module for part in offloadable_parts(recipe) for module in modules[part]]
    return sum(parameter.numel() for module in parts for parameter in module.parameters()) * 2 / MB


def cells(side: int) -> float:
    """Count the cells of the latents of a square picture whose side has this many pixels."""
    return (side / 8) ** 2


class _Count:
    """Counts one recipe in one place."""

    def __init__(self, recipe: Recipe, place: Place) -> None:
        method = METHODS[recipe.method.name]()
        self.recipe, self.place = recipe, place
        self.trained = method.trained_numbers(recipe, place.family)
        self.kind = method.step_kind(recipe, place.family)
        self.own_weights = self.trained.own_weights or {}
        self.in_bf16 = self.trained.bytes_each == 2
        bf16 = self.in_bf16 or recipe.train.precision != "fp32"
        self.precision = "bf16" if bf16 else "fp32"  # fp16 takes as much

    def phases(self) -> dict[str, Parts]:
        recipe, place, train = self.recipe, self.place, self.recipe.train
        trained = self.trained.total * 4 / MB
        weights = trained / 2 if self.in_bf16 else trained
        optimizer, gradients = {"optimizer": self._optimizer() * 4 / MB}, {"gradients": weights}
        base = {"base model": 0.0 if place.loaded else model_numbers(place.family) * 4 / MB}
        steady = {
            **base,
            "trained weights": weights,
            "casts of frozen weights": self._frozen_casts(),
            "EMA": trained if train.ema else 0.0,
            "pictures": self._latents(),
        }
        # A copy of the initial weights waits in the computer's memory until the step-0 images are drawn.
        first = weights if weights * MB <= MOST else 0.0
        waiting = {"initial weights": first if place.on_cpu else 0.0}
        step, drawn = self._step(), {"drawing": self._drawn()}
        encoded = {"encoding": self._pictures("encode", self._encoded_cells())}
        late = recipe.dataset.cache == "none" or recipe.dataset.crop == "random"
        averaged = train.ema or train.optimizer == "adamw_schedule_free"
        widened = {"weight in float32": self._largest()}
        file_again = self.trained.own_weights is not None and place.on_cpu
        at_first = {**steady, **optimizer, **waiting, "copy for step-0 images": first} if first else steady
        return {
            "loading": {**base, "file": place.file_mb if place.on_cpu and not place.loaded else 0.0},
            "encoding": {**steady, **waiting, **(optimizer if late else {}), **encoded},
            "first step": {**steady, **waiting, **step},
            "end of the first step": {**steady, **waiting, **gradients, **optimizer, **widened},
            "step": {**steady, **optimizer, **step},
            "end of a step": {**steady, **optimizer, **gradients, **widened},
            "step-0 images": {**at_first, **drawn},
            "pictures": {**steady, **optimizer, "EMA copy": weights if averaged else 0.0, **drawn},
            "saving": {**steady, **optimizer, "file": place.file_mb if file_again else 0.0},
            "reading back": {**base, "pictures": steady["pictures"], "last save": trained, **drawn},
        }

    def _optimizer(self) -> float:
        """Count the numbers (of float32's size) that the optimizer stores."""
        shapes = None if self.trained.own_weights is None else self.own_weights.values()
        return stored_numbers(self.recipe.train.optimizer, self.trained.total, shapes)

    def _frozen_casts(self) -> float:
        """Count casts of frozen weights in modules whose own weights train: a module computes in one dtype, theirs."""
        if self.trained.own_weights is None or (self.place.on_cpu and not self.in_bf16):
            return 0.0
        parts = {name.partition(".")[0] for name in self.own_weights}
        frozen = sum(
            value.numel()
            for name, value in parameters(skeleton(self.place.family))
            if name.partition(".")[0] in parts and name not in self.own_weights
        )
        return frozen * self.trained.bytes_each / MB

    def _largest(self) -> float:
        """Count the widening of the largest bfloat16 weight: itself, its gradient, and one and a half times its size to
        round it.
        """
        if not self.in_bf16:
            return 0.0
        return max(map(math.prod, self.own_weights.values()), default=0) * 4 * 3.5 / MB

    def _latents(self) -> float:
        """Count the latents in the computer's memory: four channels each of mean and deviation."""
        if self.recipe.dataset.cache != "memory" or not self.place.on_cpu:
            return 0.0
        return self.place.pictures * cells(self.recipe.dataset.resolution) * 4 * 2 * 4 / MB

    def _encoded_cells(self) -> float:
        side, batch = self.recipe.dataset.resolution, self.recipe.train.batch_size
        return cells(side) * (batch if self.recipe.dataset.cache == "none" else encoded_at_once(side, side))

    def _drawn(self) -> float:
        watch = self.recipe.watch
        side = watch.size or self.recipe.dataset.resolution
        drawn = watch.propose_prompts or watch.concept_prompts or watch.bleeding_prompts
        # Where memory is short, control pictures are drawn one by one.
        return self._pictures("decode", cells(side)) if drawn else 0.0

    def _pictures(self, what: str, size: float) -> float:
        """Count the VAE's intermediate results on pictures of ``size`` cells in all."""
        figures = _table(self.place.kind)[f"{what} {'fp32' if self.place.on_cpu else 'fp16'}"]
        return float(figures["fixed_mb"] + figures["cell_kb"] * size / 1024)

    def _step(self) -> Parts:
        """Count gradients and intermediate results at the point of a forward and backward pass with most of them."""
        train, place = self.recipe.train, self.place
        case = f"{self.kind.unet} {self.precision}{' checkpointing' if train.checkpointing else ''}"
        figures = _table(place.kind)[f"step {case}"]
        batch, size = train.batch_size, cells(self.recipe.dataset.resolution)
        gradients = self.trained.unet * self.trained.bytes_each / MB
        # The model's own weights train in the UNet.
        own = self.trained.own_weights is not None and self.recipe.method.unet
        # Where a GPU computes in the dtype that the model is loaded in, its weights aren't cast to another.
        uncast = not (place.on_cpu or place.dtype != train.precision or own)
        saved = _matrices(place.family) * 2 / MB if uncast else 0.0
        passes = bool(train.class_preservation) + bool(train.blank_preservation)
        # Autocast casts float32 weights that train once, for all passes.
        once = own and not self.in_bf16 and self.precision == "bf16"
        width, share = self.kind.width, self.kind.share
        between = passes * _line(figures["held"], size, batch, width, 0.0 if once else share)
        if self.recipe.method.trains_text:
            text = _table(place.kind)[f"text {self.kind.text} {self.precision}"]
            between += (1 + passes) * (text["fixed_mb"] + text["caption_mb"] * batch)
        found = []
        for line in figures["moments"]:
            # With accumulation, the gradients of earlier batches exist all the time.
            accumulated = gradients * (1.0 if train.accumulation > 1 else line[-1])
            fixed = max(share * line[0] - saved, 0.0)
            step = between + fixed + _line([0.0, *line[1:]], size, batch, width, 1.0)
            found.append({"gradients": accumulated, "training step": step * (1.0 if place.on_cpu else ON_GPU)})
        return max(found, key=lambda parts: sum(parts.values()))


def _matrices(family: Family) -> int:
    """Count the numbers that autocast casts: the UNet's matrices."""
    return sum(value.numel() for value in skeleton(family).unet.parameters() if value.ndim > 1)


def _line(line: list[float], size: float, batch: int, width: float, share: float) -> float:
    """Compute the megabytes of a coefficient's line (see ``bench.memory``) for a batch of ``size``-cell pictures."""
    fixed, cell, picture, wide, both, _ = line
    return share * fixed + wide * width + batch * (picture + (cell + both * width) * size / 1024)


def _table(kind: str) -> dict[str, Any]:
    return _tables()["sd1" if kind == "sd2" else kind]  # the same widths


@functools.cache
def _tables() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json_file.read(COEFFICIENTS)
    return found
