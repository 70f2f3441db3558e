"""The contract of a training method: what trains, how it enters the forward pass, how it is saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from ..errors import SdftError
from ..formats.family import Family
from ..model.base import Model
from ..recipe import Precision, Recipe

T = TypeVar("T")


class MethodError(SdftError, ValueError):
    """A method can't do what the recipe asks; the message says why and what to change."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate. ``name`` is 'unet' or 'text_encoder', or begins with one of them."""

    name: str
    parameters: list[nn.Parameter]
    learning_rate: float

    @property
    def of_text_encoder(self) -> bool:
        return self.name.startswith("text_encoder")


@dataclass(frozen=True)
class TrainedNumbers:
    """How many numbers a recipe trains in a model, counted from shapes alone."""

    unet: int
    text: int = 0
    """In the text encoders, vectors of new words among them."""
    bytes_each: int = 4
    """Bytes of a trained number, and of its gradient, in memory."""
    own_weights: Mapping[str, tuple[int, ...]] | None = None
    """If copies of the model's own weights train: their shapes by 'part.path.leaf'."""

    @property
    def total(self) -> int:
        return self.unet + self.text


@dataclass(frozen=True)
class StepKind:
    """Which of the measured kinds of step a method's is like, and how much of it (``memory/coefficients.json``)."""

    unet: str
    """Of a pass of the UNet; ``EMBEDDINGS`` where nothing in it trains and gradients go through it into the prompts."""
    text: str
    """Of a pass of the text encoders."""
    share: float = 1.0
    """Share of the UNet's weights that the trained layers change, where those measured changed all."""
    width: float = 0.0
    """What the kept results grow with: a LoRA's mean rank, a hypernetwork's widths between its layers."""


EMBEDDINGS = "words"
"""The kind of step in which only vectors of new words train."""


class Method(Protocol):
    """One way to train. A method knows neither the page nor the host."""

    name: str
    suffix: str
    """Of its files: '.safetensors' or '.pt'."""
    notes: list[str]
    """Sentences for the report: where the run departs from the recipe, and why."""

    def trained_numbers(self, recipe: Recipe, family: Family) -> TrainedNumbers:
        """Count what the recipe trains in a model of this family, without making it; 0 where the recipe is refused."""
        ...

    def step_kind(self, recipe: Recipe, family: Family) -> StepKind:
        """Say which measured kind of step the recipe's steps are like."""
        ...

    @property
    def uses_global_rng(self) -> bool:
        """Whether its forward pass draws from torch's global random state (dropout), which the loop then forks."""
        ...

    def attach(self, model: Model, recipe: Recipe) -> None:
        """Add what trains to the borrowed model and freeze its own parameters. Raises MethodError."""
        ...

    def detach(self) -> None:
        """Take everything off again: the model's modules, parameters and flags are what they were before."""
        ...

    def groups(self) -> list[ParameterGroup]:
        """Return what trains, by learning rate."""
        ...

    def after_step(self, texts: bool = True) -> None:
        """Do what the trained weights need after an optimizer step, as a function of the weights alone.

        ``texts``: whether the text encoder's part still trains; if not, it stays as it is.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """Return the trained tensors, exactly, by name."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state`` returned. Raises MethodError if names or shapes differ."""
        ...

    def save(self, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
        """Write the file that other programs load. Raises OSError if it can't be written."""
        ...

    def applied(self, path: Path, model: Model, weight: float = 1.0) -> AbstractContextManager[None]:
        """Run the model with a saved file applied, as other programs do; afterwards it is as before."""
        ...


@runtime_checkable
class Removable(Protocol):
    """A method whose trained weights are kept apart from the base's, so that the base's own prediction is available."""

    def without(self) -> AbstractContextManager[None]:
        """Inside, the model predicts as if nothing had been trained, bit for bit."""
        ...


@runtime_checkable
class SeveralFiles(Protocol):
    """A method whose save may be more than one file."""

    extra_kind: str
    """The method among whose files the extra ones belong: a host has a folder for them."""

    def save_extra(self, path: Path, folder: Path, metadata: Mapping[str, str], precision: Precision) -> list[Path]:
        """Write the extra files of the save ``path`` into ``folder``, named after its stem; return them."""
        ...


def attached(value: T | None) -> T:
    """Return what a method has while it is attached. Raises RuntimeError if it isn't."""
    if value is None:
        raise RuntimeError("this method is not attached")
    return value


def check_detached(value: object) -> None:
    """Raise RuntimeError if a method has this already, for it is attached then."""
    if value is not None:
        raise RuntimeError("this method is attached already")


def learning_rates(recipe: Recipe) -> dict[str, float]:
    """Return the learning rates by the names of parameter groups."""
    train = recipe.train
    return {"unet": train.learning_rate, "text_encoder": train.text_encoder_learning_rate or train.learning_rate}


@torch.no_grad()
def load_tensors(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Copy a state's values into the trained tensors. Raises MethodError if names or shapes differ."""
    for name in sorted(own.keys() | state.keys()):
        if name not in own or name not in state or state[name].shape != own[name].shape:
            raise MethodError(f"The saved state doesn't fit this recipe at {name}: it belongs to another run.")
    for name, tensor in own.items():
        tensor.copy_(state[name])
