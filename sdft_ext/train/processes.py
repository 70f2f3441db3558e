"""The processes that train one run: usually this one alone, several where Hugging Face Accelerate has launched them.

Each of several sees an equal part of every batch; their gradients' mean is the gradient of the whole batch, so all take the
same step. The main one, number 0, decides and writes; the others do what it tells (see ``run_beside``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..dataset.shard import Part
from ..errors import SdftError
from ..recipe import Recipe, RecipeError

if TYPE_CHECKING:
    from torch import nn


class Lost(SdftError, RuntimeError):
    """Another process of the run has ended; the message says what to do."""


class Processes:
    """One process: nobody to tell, nothing to average. ``device`` is None where the host chooses."""

    number, count = 0, 1
    device: str | None = None

    @property
    def main(self) -> bool:
        return self.number == 0

    @property
    def part(self) -> Part:
        return Part(self.number, self.count)

    def tell(self, what: Any) -> None:
        """From the main process to all others, which wait for it in ``told``. Raises Lost, as all below do."""

    def told(self) -> Any:
        """What the main process tells next, however long that takes."""
        raise RuntimeError("a process alone is told nothing")

    def alike(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give the others the main process's weights."""

    def step(self, number: int) -> None:
        """Tell the others to take a step; ``average`` ends it."""

    def average(self, parameters: Sequence[nn.Parameter], loss: float) -> float:
        """Put the gradients' mean over the processes in their place; returns the losses' mean."""
        return loss

    def end(self) -> None:
        """Let the others go, if they wait to be told."""


ALONE = Processes()
NOT_MADE_FOR = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_SAGEMAKER": "SageMaker",
    "ACCELERATE_USE_IPEX": "IPEX",
    "ACCELERATE_USE_XPU": "XPU",
    "ACCELERATE_USE_TP": "tensor parallelism",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "accelerate's parallelism configuration",
}
"""Ways to train that `accelerate launch` tells in the environment, and that nobody has tried here."""
MPI = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


@contextmanager
def launched() -> Iterator[Processes]:
    """This process's place among those that ``accelerate launch`` has started; ALONE where it has started no other.

    Raises RecipeError, which names what is asked of the launcher and can't be done.
    """
    asked = os.environ
    _refuse(asked)
    if int(asked.get("WORLD_SIZE", "1")) == 1:
        if on_cpu():
            alone = Processes()
            alone.device = "cpu"
            yield alone
        else:
            yield ALONE
        return
    from .together import Together

    processes = Together()
    try:
        yield processes
    finally:
        processes.end()
        processes.leave()


def check(recipe: Recipe, processes: Processes, dropout: bool) -> None:
    """Raises RecipeError for what several processes can't do. ``dropout``: whether the method draws in its forward pass."""
    if processes.count == 1:
        return
    if recipe.train.optimizer == "adamw8bit":
        raise RecipeError("train.optimizer: adamw8bit was never tried in several processes: choose adamw.")
    if recipe.train.compile:
        raise RecipeError("train.compile was never tried in several processes: set it to false.")
    if dropout:
        raise RecipeError(
            "Dropout is drawn for a whole batch, of which each process sees a part: set method.lora.dropout and "
            "method.lora.rank_dropout to 0, or, for a hypernetwork, leave method.hypernetwork.dropout empty."
        )


def on_cpu() -> bool:
    """Whether ``accelerate launch`` was told to leave GPUs alone."""
    return _yes(os.environ.get("ACCELERATE_USE_CPU"))


def _refuse(asked: Any) -> None:
    for name, what in NOT_MADE_FOR.items():
        if _yes(asked.get(name)):
            raise RecipeError(
                f"accelerate launch asks for {what}, which runs here can't do: use --multi_gpu, which gives each process "
                "a part of every batch."
            )
    if any(int(asked.get(name, "1")) > 1 for name in MPI):
        raise RecipeError(
            "The processes were started by MPI, which was never tried: use accelerate launch --multi_gpu."
        )
    if "WORLD_SIZE" not in asked and "ACCELERATE_USE_CPU" in asked and "MASTER_PORT" in asked:
        raise RecipeError(
            "accelerate launch was asked for several processes and has started one, as it does with --cpu: use "
            "--multi_gpu, on a computer without a GPU too."
        )
    if asked.get("MASTER_PORT") == "0":
        raise RecipeError(
            "accelerate launch was given --main_process_port 0, on which the processes don't find each other: leave it out, or "
            "name a free port."
        )
    precision = asked.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision != "no":
        raise RecipeError(
            f"accelerate launch says mixed_precision {precision}, but a run computes as its recipe says: set "
            "train.precision there, and give accelerate launch --mixed_precision no."
        )
    if asked.get("ACCELERATE_DYNAMO_BACKEND", "NO").upper() != "NO":
        raise RecipeError(
            "accelerate launch says to compile, but a run compiles as its recipe says: give --dynamo_backend no."
        )
    if int(asked.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0:
        raise RecipeError(
            "accelerate launch would start the command again after a failure (--max_restarts), which would begin a new "
            "run: leave that out, and resume the run."
        )


def _yes(value: str | None) -> bool:
    return (value or "").lower() in ("1", "true", "yes", "on")
