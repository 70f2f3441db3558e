"""A full GPU: recognize it, free the memory of a failed step, and say which settings need less."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

from .recipe import Recipe

MESSAGES = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Messages of the driver and of libraries that bypass torch's allocator and so raise no OutOfMemoryError. cuBLAS
reports that it isn't initialized where it finds no room for its own buffers.
"""
SIDES = (768, 512, 384, 256)
"""Resolutions in pixels that are suggested instead of a larger one."""
CLOSE_OTHERS = "close other programs that use the GPU"
NOT_RESTORED = (
    "Fine-tune: the GPU has no room to take back the whole model. Close other programs that use it, then load the "
    "checkpoint again."
)
DRAW_LESS = (
    f"The GPU's memory is full: draw fewer or smaller pictures at once, or {CLOSE_OTHERS}. The pictures drawn so far "
    "are kept; resume draws the rest."
)
"""The message where regularization pictures don't fit."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the GPU's memory is full."""
    import torch

    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in MESSAGES)


def clear_frames(error: BaseException) -> None:
    """Clear the frames of an error's tracebacks, which frees all that a step computed before it ran out of memory."""
    found: BaseException | None = error
    while found is not None:
        traceback.clear_frames(found.__traceback__)
        found = found.__cause__ or found.__context__


def savings(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """Yield settings, each with a value that needs less memory than the recipe's; the ones that cost least first."""
    train, method = recipe.train, recipe.method
    if not train.checkpointing:
        yield "train.checkpointing", True
    if train.precision == "fp32":
        yield "train.precision", "bf16"
    if train.batch_size > 1:
        yield "train.batch_size", train.batch_size // 2
    if method.text_encoder and method.unet:
        yield "method.text_encoder", False
    side = next((side for side in SIDES if side < recipe.dataset.resolution), None)
    if side is not None:
        yield "dataset.resolution", side


def advice(recipe: Recipe) -> str:
    """Write a sentence on what would need less memory than the recipe, without a forecast of how much.

    >>> advice(Recipe()) 'Set train.checkpointing to true, set train.precision to bf16, lower dataset.resolution, or
    close other programs that use the GPU.'
    """
    suggested = dict(savings(recipe))
    ways = [
        f"set {setting} to {str(suggested[setting]).lower()}"
        for setting in ("train.checkpointing", "train.precision")
        if setting in suggested
    ]
    if "train.batch_size" in suggested:
        ways.append("lower train.batch_size (train.accumulation makes up for it)")
    ways += ["lower dataset.resolution", CLOSE_OTHERS]
    sentence = f"{', '.join(ways[:-1])}, or {ways[-1]}."
    return sentence[0].upper() + sentence[1:]


def training_failed(recipe: Recipe) -> str:
    """Write the message of a run that ran out of memory while it trained."""
    return f"The GPU's memory is full. {advice(recipe)} Earlier saves are intact."


def step_does_not_fit(recipe: Recipe, batch: int, size: tuple[int, int], free_mb: float) -> str:
    """Write the message of a run whose first step, ``batch`` pictures of ``size`` (width, height), doesn't fit."""
    width, height = size
    return (
        f"The run did not begin: one step at {width}×{height} in batches of {batch} needs more than the "
        f"{gigabytes(free_mb)} of memory that are free. {advice(recipe)} Then resume, or start a new run."
    )


def picture_does_not_fit(side: int) -> str:
    """Write the message where not even one control picture of ``side`` × ``side`` pixels can be drawn."""
    return (
        f"The GPU's memory is too full to draw a control picture of {side}×{side}: lower watch.size, or {CLOSE_OTHERS}."
    )


def gigabytes(mb: float) -> str:
    """Write an amount of memory in MB or GB.

    >>> gigabytes(512), gigabytes(1536)
    ('512 MB', '1.5 GB')
    """
    return f"{mb / 1024:.1f} GB" if mb >= 1024 else f"{mb:.0f} MB"
