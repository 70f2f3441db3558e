"""Joins the processes that ``accelerate launch`` has started, and refuses those that can't train a run together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..recipe import RecipeError
from .processes import ALONE, Processes

UNSUPPORTED = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_SAGEMAKER": "SageMaker",
    "ACCELERATE_USE_IPEX": "IPEX",
    "ACCELERATE_USE_XPU": "XPU",
    "ACCELERATE_USE_TP": "tensor parallelism",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "accelerate's parallelism configuration",
}
"""Environment variables by which ``accelerate launch`` asks for ways of training that are untested here."""
MPI = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


@contextmanager
def launched() -> Iterator[Processes]:
    """Give this process's place among those that ``accelerate launch`` has started; ALONE where it has started no
    other.

    Raises RecipeError, which names what the launcher was asked for and a run can't do.
    """
    environment = os.environ
    _refuse_unsupported(environment)
    on_cpu = _is_yes(environment.get("ACCELERATE_USE_CPU"))
    if int(environment.get("WORLD_SIZE", "1")) == 1:
        alone = ALONE
        if on_cpu:
            alone = Processes()
            alone.device = "cpu"
        yield alone
        return
    from .together import Together  # imports accelerate, which a run in one process does without

    processes = Together(on_cpu)
    try:
        yield processes
    finally:
        processes.end()
        processes.leave()


def _refuse_unsupported(environment: Mapping[str, str]) -> None:
    for name, what in UNSUPPORTED.items():
        if _is_yes(environment.get(name)):
            raise RecipeError(
                f"accelerate launch asks for {what}, which a run can't do: use --multi_gpu, which gives each process "
                "a part of every batch."
            )
    if any(int(environment.get(name, "1")) > 1 for name in MPI):
        raise RecipeError("The processes were started by MPI, which is untested: use accelerate launch --multi_gpu.")
    if "WORLD_SIZE" not in environment and "ACCELERATE_USE_CPU" in environment and "MASTER_PORT" in environment:
        raise RecipeError(
            "accelerate launch was asked for several processes and has started one, as it does with --cpu: use "
            "--multi_gpu, on a computer without a GPU too."
        )
    if environment.get("MASTER_PORT") == "0":
        raise RecipeError(
            "accelerate launch was given --main_process_port 0, where the processes don't find each other: leave it "
            "out, or "
            "name a free port."
        )
    precision = environment.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision != "no":
        raise RecipeError(
            f"accelerate launch asks for mixed_precision {precision}, but a run follows its recipe: set "
            f"train.precision "
            "there, and give accelerate launch --mixed_precision no."
        )
    if environment.get("ACCELERATE_DYNAMO_BACKEND", "NO").upper() != "NO":
        raise RecipeError(
            "accelerate launch asks to compile, but a run follows its recipe: give accelerate launch "
            "--dynamo_backend no."
        )
    if int(environment.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0:
        raise RecipeError(
            "After a failure accelerate launch would start the command again (--max_restarts), which would begin a "
            "new run: "
            "leave that out, and resume the run."
        )


def _is_yes(value: str | None) -> bool:
    return (value or "").lower() in ("1", "true", "yes", "on")
