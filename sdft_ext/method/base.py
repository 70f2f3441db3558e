"""The contract of a method: what trains, how it enters the forward pass, how it is saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from ..errors import SdftError
from ..formats.family import Family
from ..model.base import Model
from ..recipe import Precision, Recipe


class MethodError(SdftError, ValueError):
    """A method can't do what the recipe asks; the message says why and what to change."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with a learning rate of their own. ``name`` is 'unet' or 'text_encoder', or begins with one of them."""

    name: str
    parameters: list[nn.Parameter]
    learning_rate: float

    @property
    def of_text_encoder(self) -> bool:
        return self.name.startswith("text_encoder")


@dataclass(frozen=True)
class TrainedNumbers:
    """How many numbers a recipe trains in a model, known from shapes alone."""

    unet: int
    text: int = 0
    """In the text encoders, vectors of new words among them."""
    bytes_each: int = 4
    """Of the trained numbers and their gradients, as they lie in memory."""
    own_weights: Mapping[str, tuple[int, ...]] | None = None
    """Where copies of the model's own weights train: their shapes by 'part.path.leaf'."""

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
    """One way to train. A method names no page and no host."""

    name: str
    suffix: str
    """Of its files: '.safetensors', or '.pt'."""
    notes: list[str]
    """Sentences for the report: what was done differently from what the recipe says, and why."""

    def trained_numbers(self, recipe: Recipe, family: Family) -> TrainedNumbers:
        """Count what the recipe trains in a model of this family, without making it; 0 where the recipe is refused."""
        ...

    def step_kind(self, recipe: Recipe, family: Family) -> StepKind:
        """Say which measured kind of step the recipe's steps are like."""
        ...

    @property
    def uses_global_rng(self) -> bool:
        """Whether its forward pass draws from torch's global state (dropout): the loop then forks it."""
        ...

    def attach(self, model: Model, recipe: Recipe) -> None:
        """Add what trains to the borrowed model. Base parameters get ``requires_grad=False``. Raises MethodError."""
        ...

    def detach(self) -> None:
        """Take everything off again: the model's modules, parameters and flags are what they were."""
        ...

    def groups(self) -> list[ParameterGroup]: ...

    def after_step(self, texts: bool = True) -> None:
        """Whatever the trained weights need once the optimizer has moved them; a function of them alone.

        ``texts``: whether what is of the text encoder still trains. If not, it stands still.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """The trained tensors, exactly, by name."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``state`` gave. Raises MethodError where names or shapes differ."""
        ...

    def save(self, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
        """Write the file that other programs load. Raises OSError where it can't be written."""
        ...

    def applied(self, path: Path, model: Model, weight: float = 1.0) -> AbstractContextManager[None]:
        """Run the model with a saved file inside, as other programs do; the model is as before after."""
        ...


@runtime_checkable
class Removable(Protocol):
    """A method whose trained weights stand beside the base's, so that the base's own answer can be asked for."""

    def without(self) -> AbstractContextManager[None]:
        """Inside, the model answers as if nothing had been trained, bit for bit."""
        ...


@runtime_checkable
class SeveralFiles(Protocol):
    """A method whose save may be more than one file."""

    further_kind: str
    """The method's name for whose files a host has a folder that the further ones belong into."""

    def save_further(self, path: Path, folder: Path, metadata: Mapping[str, str], precision: Precision) -> list[Path]:
        """Write what belongs to the save ``path`` into ``folder``, under names that begin with its stem; returns the files."""
        ...
