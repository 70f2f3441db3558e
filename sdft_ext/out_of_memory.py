"""A full memory, the GPU's or the computer's: recognize it, free what a failed step holds, and say what needs less."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from .recipe import METHOD_INFO, Recipe

MESSAGES = (
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)
"""Messages of the driver and of libraries that bypass torch's allocator and so raise no OutOfMemoryError. cuBLAS
reports that it isn't initialized where it finds no room for its own buffers.
"""
MESSAGES_OF_OTHERS = (
    *("HIP out of memory", "HIP error: out of memory", "HIPBLAS_STATUS_ALLOC_FAILED"),
    *("MPS backend out of memory", "XPU out of memory", "OUT_OF_DEVICE_MEMORY", "not enough GPU video memory"),
)
"""Those of other GPUs' allocators, where torch has no error class of its own for them."""
ON_CPU = (
    *("DefaultCPUAllocator", "alloc_cpu.cpp", "bad_alloc", "Cannot allocate memory", "OUT_OF_HOST_MEMORY"),
    *("could not create a primitive", "could not create a memory object", "could not execute a primitive"),
)
"""Messages of torch's allocator for the computer's memory, of C++ and the system, and of oneDNN, which has no word for
a full memory.
"""
SIDES = (768, 512, 384, 256)
"""Resolutions in pixels that are suggested instead of a larger one."""
CLOSE_OTHERS = "close other programs that use the GPU"
NOT_RESTORED = (
    "Fine-tune: the GPU has no room to take back the whole model. Close other programs that use it, then load the "
    "checkpoint again."
)
CLOSE_PROGRAMS = "close other programs"


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the GPU's or the computer's memory is full."""
    if on_cpu(error):
        return True
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    known = (*MESSAGES, *MESSAGES_OF_OTHERS)
    return isinstance(error, RuntimeError) and any(message in str(error) for message in known)


def on_cpu(error: BaseException) -> bool:
    """Return whether an error means that the computer's own memory is full."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in ON_CPU)


def full(error: BaseException) -> str:
    """Say whose memory is full, without a full stop."""
    return "The computer's memory is full" if on_cpu(error) else "The GPU's memory is full"


def close_others(error: BaseException) -> str:
    """Say what to close where this error's memory is full."""
    return CLOSE_PROGRAMS if on_cpu(error) else CLOSE_OTHERS


def draw_less(error: BaseException) -> str:
    """Write the message where regularization pictures don't fit."""
    return (
        f"{full(error)}: draw fewer or smaller pictures at once, or {close_others(error)}. The pictures drawn so far "
        "are kept; resume draws the rest."
    )


def work_failed(error: BaseException) -> str:
    """Write the message where some other work, such as a tool, runs out of memory."""
    return f"{full(error)}: {close_others(error)}, or use smaller files, then try again. Nothing was changed."


def clear_frames(error: BaseException) -> None:
    """Clear the frames of an error's tracebacks, which frees all that a step computed before it ran out of memory."""
    found: BaseException | None = error
    while found is not None:
        traceback.clear_frames(found.__traceback__)
        found = found.__cause__ or found.__context__


def savings(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Yield changes (settings → values) that need less memory than the recipe; those that cost least first.

    Checkpointing and smaller batches with accumulation learn the same, slower. Then come fewer bits (weights in bf16
    need stochastic rounding, which comes with them; 8-bit Adam: Dettmers 2021; Adafactor: Shazeer 2018), and at last
    what learns something else.
    """
    train, method = recipe.train, recipe.method
    if not train.checkpointing:
        yield {"train.checkpointing": True}
    if train.precision == "fp32":
        yield {"train.precision": "bf16"}
    if train.batch_size > 1:
        batch = train.batch_size // 2
        same = {"train.accumulation": 2 * train.accumulation} if train.batch_size % 2 == 0 else {}
        yield {"train.batch_size": batch, **same}
    if train.optimizer not in ("adafactor", "adamw8bit", "came", "lion"):
        yield {"train.optimizer": "adamw8bit" if find_spec("bitsandbytes") is not None else "adafactor"}
    if METHOD_INFO[method.name].whole_model and method.full.weights == "fp32":
        yield {"method.full.weights": "bf16", "train.precision": "bf16"}
    if method.text_encoder and method.unet:
        yield {"method.text_encoder": False}
    side = next((side for side in SIDES if side < recipe.dataset.resolution), None)
    if side is not None:
        yield {"dataset.resolution": side}


def advice(recipe: Recipe, close: str = CLOSE_OTHERS) -> str:
    """Write a sentence on what would need less memory than the recipe, without a forecast of how much.

    >>> advice(Recipe()) 'Set train.checkpointing to true, set train.precision to bf16, lower dataset.resolution, or
    close other programs that use the GPU.'
    """
    suggested = {setting: value for change in savings(recipe) for setting, value in change.items()}
    named = ["train.checkpointing", "train.precision"]
    if METHOD_INFO[recipe.method.name].whole_model:  # a small file's optimizer needs little
        named.append("train.optimizer")
    ways = [f"set {setting} to {str(suggested[setting]).lower()}" for setting in named if setting in suggested]
    if "train.batch_size" in suggested:
        ways.append("lower train.batch_size (train.accumulation makes up for it)")
    ways += ["lower dataset.resolution", close]
    sentence = f"{', '.join(ways[:-1])}, or {ways[-1]}."
    return sentence[0].upper() + sentence[1:]


def training_failed(recipe: Recipe, error: BaseException) -> str:
    """Write the message of a run that ran out of memory while it trained."""
    return f"{full(error)}. {advice(recipe, close_others(error))} Earlier saves are intact."


def step_does_not_fit(recipe: Recipe, batch: int, size: tuple[int, int], free_mb: float) -> str:
    """Write the message of a run whose first step, ``batch`` pictures of ``size`` (width, height), doesn't fit."""
    width, height = size
    return (
        f"The run did not begin: one step at {width}×{height} in batches of {batch} needs more than the "
        f"{gigabytes(free_mb)} of memory that are free. {advice(recipe)} Then resume, or start a new run."
    )


def picture_does_not_fit(side: int, error: BaseException) -> str:
    """Write the message where not even one control picture of ``side`` × ``side`` pixels can be drawn."""
    return (
        f"{full(error)}: a control picture of {side}×{side} can't be drawn. Lower watch.size, or {close_others(error)}."
    )


def gigabytes(mb: float) -> str:
    """Write an amount of memory in MB or GB.

    >>> gigabytes(512), gigabytes(1536)
    ('512 MB', '1.5 GB')
    """
    return f"{mb / 1024:.1f} GB" if mb >= 1024 else f"{mb:.0f} MB"
