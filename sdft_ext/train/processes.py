"""The processes that train one run: usually this one alone, several where Hugging Face Accelerate has launched them.

Each of several processes sees an equal part of every batch. The mean of their gradients is the gradient of the whole
batch, so all take the same step. The main process, number 0, decides and writes; the others do what it sends
(``run/worker.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..dataset.shard import Shard
from ..errors import SdftError
from ..recipe import Recipe, RecipeError

if TYPE_CHECKING:
    from torch import nn


class ProcessLost(SdftError, RuntimeError):
    """Another process of the run has ended; the message says what to do."""


class Processes:
    """One process alone, with no other to send to and nothing to average; the base of ``Together``.

    ``device`` is None where the host chooses it.
    """

    number, count = 0, 1
    device: str | None = None

    @property
    def main(self) -> bool:
        """Whether this is the process that decides and writes."""
        return self.number == 0

    @property
    def shard(self) -> Shard:
        """The part of every batch that this process sees."""
        return Shard(self.number, self.count)

    def send(self, what: Any) -> None:
        """Send an object from the main process to all others, which wait for it in ``receive``.

        Raises ProcessLost, as all methods below do.
        """

    def receive(self) -> Any:
        """Wait for what the main process sends next, however long that takes."""
        raise RuntimeError("a process alone receives nothing")

    def broadcast(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give all processes the main process's weights."""

    def step(self, number: int) -> None:
        """Have the other processes take step ``number`` (0-based) with this one; ``average`` ends it."""

    def average(self, parameters: Sequence[nn.Parameter], loss: float) -> float:
        """Replace each gradient by its mean over the processes; returns the mean of the losses."""
        return loss

    def end(self) -> None:
        """Let the other processes go, if they are waiting in ``receive``."""


ALONE = Processes()


def check(recipe: Recipe, processes: Processes, dropout: bool) -> None:
    """Raise RecipeError for what several processes can't do. ``dropout``: whether the method draws in its forward
    pass.
    """
    if processes.count == 1:
        return
    if recipe.train.optimizer == "adamw8bit":
        raise RecipeError("train.optimizer: adamw8bit is untested in several processes: choose adamw.")
    if recipe.train.compile:
        raise RecipeError("train.compile is untested in several processes: set it to false.")
    if dropout:
        raise RecipeError(
            "Dropout is drawn for a whole batch, of which each process sees a part: set method.lora.dropout and "
            "method.lora.rank_dropout to 0, or, for a hypernetwork, leave method.hypernetwork.dropout empty."
        )
